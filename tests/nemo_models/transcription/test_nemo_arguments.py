"""NeMo's arguments that have no effect here are said so; those that cannot be met are refused."""

import pytest
from omegaconf import OmegaConf

from nemo_models.transcription.nemo_arguments import (
    NEMO_KEYS,
    REFUSED,
    WITHOUT_EFFECT,
    check_nemo_arguments,
    rewrite_argument,
)
from project import ROOT

CONF = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/transcribe_speech.yaml"))
NEMO_3_0_0 = """
model_path pretrained_name audio_dir dataset_manifest channel_selector audio_key eval_config_yaml presort_manifest
output_filename batch_size num_workers append_pred pred_name_postfix random_seed timestamps return_hypotheses
compute_langs cuda allow_mps amp amp_dtype compute_dtype matmul_precision audio_type overwrite_transcripts ctc_decoding
rnnt_decoding multitask_decoding prompt decoder_type att_context_size source_lang model_change calculate_wer
clean_groundtruth_text langid use_cer return_transcriptions gt_text_attr_name gt_lang_attr_name extract_nbest confidence
calculate_rtfx warmup_steps run_steps
"""
"""The fields of TranscriptionConfig in NeMo 3.0.0's examples/asr/transcribe_speech.py."""


def test_every_argument_of_nemos_script_is_one_here():
    assert set(NEMO_3_0_0.split()) <= set(CONF) | set(NEMO_KEYS)
    assert not set(CONF) & set(NEMO_KEYS), "what has no effect is not among the arguments that --help lists"


def test_defaults_say_nothing():
    assert check_nemo_arguments(CONF) == []


@pytest.mark.parametrize("key", WITHOUT_EFFECT)
def test_arguments_without_effect_are_noted(key):
    (note,) = check_nemo_arguments({**CONF, key: 2})
    assert note.startswith(f"{key} has no effect: ")


@pytest.mark.parametrize("key", REFUSED)
def test_arguments_that_cannot_be_met_are_refused(key):
    with pytest.raises(ValueError, match=f"^{key}=yes: "):
        check_nemo_arguments({**CONF, key: "yes"})


def test_decoder_type():
    assert check_nemo_arguments({**CONF, "decoder_type": "ctc"}) == []
    with pytest.raises(ValueError, match="decoder_type=rnnt"):
        check_nemo_arguments({**CONF, "decoder_type": "rnnt"})


def test_arguments_of_nemos_script_are_rewritten_for_hydra():
    for argument, expected in (
        ("cuda=None", "cuda=null"),
        ("langid=hi", "++langid=hi"),
        ("langid=None", "++langid=null"),
        ("prompt.source_lang=hi", "++prompt.source_lang=hi"),
        ("+prompt.source_lang=hi", "++prompt.source_lang=hi"),
        ("ctc_decoding.greedy.preserve_alignments=False", "++ctc_decoding.greedy.preserve_alignments=False"),
        ("audio_dir=None-such", "audio_dir=None-such"),
        ("promptx=1", "promptx=1"),
        ("--help", "--help"),
    ):
        assert rewrite_argument(argument) == expected


@pytest.mark.parametrize("value", ["no", False, None, "false", {}, 0])
def test_an_argument_that_is_off_says_nothing(value):
    for key in ("compute_langs", "allow_mps", "prompt", "use_cer"):
        assert check_nemo_arguments({**CONF, key: value}) == []
