import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoProcessor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    pipeline,
)

from lm_text import LM_SENTENCES
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_config, model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.huggingface import compare_huggingface, hugging_face_vocabulary, write_huggingface
from nemo_models.export.probes import TOLERANCE
from topology import architecture

VOCABULARY = ["<pad>", "<s>", "</s>", "<unk>", "|", "अ", "क", "ा", "़"]
"""As fairseq and most published models order it: the blank first."""


def write_source(folder: Path, group_norm: bool = False) -> Path:
    """A random `Wav2Vec2ForCTC` with processor, as somebody else would have published it."""
    torch.manual_seed(3)
    base = {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False} if group_norm else {}
    config = Wav2Vec2Config(**architecture(**base), vocab_size=len(VOCABULARY), pad_token_id=0)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    write_processor(folder)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=not group_norm, return_attention_mask=not group_norm)
    extractor.save_pretrained(folder)
    return folder


def write_processor(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(VOCABULARY)}), encoding="utf-8")
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)


@pytest.mark.parametrize("group_norm", [False, True], ids=["xlsr", "base"])
def test_hugging_face_to_nemo_and_back_keeps_every_bit(group_norm: bool, tmp_path: Path):
    source = write_source(tmp_path / "source", group_norm)
    model_from_checkpoint(load_checkpoint(str(source))).save_to(str(tmp_path / "x.nemo"))
    model = XLSRCTCModel.restore_from(str(tmp_path / "x.nemo"), map_location="cpu").eval()
    (tmp_path / "back").mkdir()
    assert write_huggingface(model, tmp_path / "back") == []
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("source", "back"))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    numbers = [json.loads((tmp_path / name / "vocab.json").read_text(encoding="utf-8")) for name in ("source", "back")]
    assert numbers[0] == numbers[1]
    assert compare_huggingface(model, tmp_path / "back") <= TOLERANCE
    configs = [json.loads((tmp_path / n / "preprocessor_config.json").read_text()) for n in ("source", "back")]
    for key in ("do_normalize", "return_attention_mask", "sampling_rate"):
        assert configs[0][key] == configs[1][key]
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "back")
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token) == ("<s>", "</s>", "<unk>")


def test_bert_goes_out_as_it_came_in(tmp_path: Path):
    torch.manual_seed(3)
    config = Wav2Vec2BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_depthwise_kernel_size=5,
        vocab_size=len(VOCABULARY),
        pad_token_id=0,
    )
    Wav2Vec2BertForCTC(config).save_pretrained(tmp_path / "source")
    write_processor(tmp_path / "source")
    model = model_from_checkpoint(load_checkpoint(str(tmp_path / "source")))
    (tmp_path / "back").mkdir()
    write_huggingface(model, tmp_path / "back")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("source", "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert compare_huggingface(model, tmp_path / "back") <= TOLERANCE
    assert type(AutoProcessor.from_pretrained(tmp_path / "back")).__name__ == "Wav2Vec2BertProcessor"


@pytest.fixture(scope="module")
def exported(tiny_model: XLSRCTCModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("huggingface")
    notes = write_huggingface(tiny_model, folder)
    assert len(notes) == 1
    assert "1e-05" in notes[0] and "1e-07" in notes[0]
    return folder


def test_pipeline_gives_the_same_greedy_text_on_real_audio(tiny_model: XLSRCTCModel, exported: Path, speech: list):
    recognize = pipeline("automatic-speech-recognition", str(exported), device="cpu")
    for wave in speech:
        found = recognize({"raw": wave, "sampling_rate": 16000})["text"]
        with torch.inference_mode():
            log_probs, frames, _ = tiny_model.forward(
                input_signal=torch.from_numpy(wave)[None], input_signal_length=torch.tensor([len(wave)])
            )
        expected = tiny_model.decoding.ctc_decoder_predictions_tensor(log_probs, frames)[0].text
        assert found.split() == expected.split()
        assert found


def test_comparison_sees_transformers_and_the_model_as_equal_and_a_spoilt_head_as_not(
    tiny_model: XLSRCTCModel, exported: Path
):
    assert compare_huggingface(tiny_model, exported) <= TOLERANCE
    bias = tiny_model.decoder.decoder_layers[0].bias
    with torch.no_grad():
        bias[3] += 0.01
        try:
            assert compare_huggingface(tiny_model, exported) > TOLERANCE
        finally:
            bias[3] -= 0.01


def test_exporting_leaves_the_model_as_it_was(tiny_model: XLSRCTCModel, exported: Path):
    assert tiny_model.encoder.wav2vec2.config.mask_time_prob == 0.0
    assert all(parameter.device.type == "cpu" for parameter in tiny_model.parameters())
    assert tiny_model.decoder.decoder_layers[0].weight.requires_grad


def test_vocabulary_writes_the_space_as_a_bar_and_reads_text_back(tiny_model: XLSRCTCModel, exported: Path):
    vocabulary = json.loads((exported / "vocab.json").read_text(encoding="utf-8"))
    labels = list(tiny_model.cfg.labels)
    assert vocabulary["|"] == labels.index(" ")
    assert vocabulary["<pad>"] == len(labels)
    assert len(vocabulary) == len(labels) + 1
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    assert (config["vocab_size"], config["pad_token_id"]) == (len(labels) + 1, len(labels))
    processor = AutoProcessor.from_pretrained(exported)
    assert processor.tokenizer.get_vocab() == vocabulary
    for sentence in LM_SENTENCES:
        numbers = processor.tokenizer(sentence).input_ids
        assert numbers == [labels.index(character) for character in sentence]
        spread = [number for label in numbers for number in (label, len(labels))]  # a blank after each
        assert processor.decode(spread) == sentence


@pytest.mark.parametrize(
    ("labels", "message"), [([" ", "|", "a"], "Hugging Face writes the space as"), (["a", "a"], "found one twice")]
)
def test_labels_that_a_vocabulary_cannot_hold_are_refused(labels: list, message: str):
    with pytest.raises(ValueError, match=message):
        hugging_face_vocabulary(labels)
    assert hugging_face_vocabulary(["<pad>", "a", " "]).tokens == ("<pad>", "a", "|", "[PAD]")


def test_another_vocabulary_leaves_the_checkpoints_order_behind(tmp_path: Path):
    model = model_from_checkpoint(load_checkpoint(str(write_source(tmp_path / "source"))))
    model.change_vocabulary([" ", "क"])
    (tmp_path / "out").mkdir()
    write_huggingface(model, tmp_path / "out")
    vocabulary = json.loads((tmp_path / "out" / "vocab.json").read_text(encoding="utf-8"))
    assert vocabulary == {"|": 0, "क": 1, "<pad>": 2}
    assert compare_huggingface(model, tmp_path / "out") <= TOLERANCE


def test_text_and_tokenizer_of_a_head_in_capitals_with_names_of_its_own_come_back(tmp_path: Path):
    torch.manual_seed(3)
    tokens = ["A", "|", "[BLANK]", "B", "[??]"]
    Wav2Vec2ForCTC(Wav2Vec2Config(**architecture(), vocab_size=5, pad_token_id=2)).save_pretrained(tmp_path / "source")
    (tmp_path / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(tokens)}))
    names = {"bos_token": None, "eos_token": None, "unk_token": "[??]", "pad_token": "[BLANK]"}
    Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"), **names, do_lower_case=True).save_pretrained(tmp_path / "source")
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(tmp_path / "source")
    model = model_from_checkpoint(load_checkpoint(str(tmp_path / "source")))
    assert list(model.cfg.labels) == ["a", " ", "b", "[??]"]
    (tmp_path / "back").mkdir()
    write_huggingface(model, tmp_path / "back")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("source", "back"))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    old, new = (Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / name) for name in ("source", "back"))
    assert old.get_vocab() == new.get_vocab()
    for ids in ([0, 0, 2, 0, 1, 3], [1, 3, 2, 3, 4]):
        assert new.decode(ids) == old.decode(ids)
    assert {name: getattr(new, name) for name in names} == names


def test_temperature_stays_behind_and_is_told(tmp_path: Path):
    model = XLSRCTCModel(cfg=model_config(architecture(), [" ", "क"], normalize=True, epsilon=1e-7)).eval()
    model.change_decoding_strategy({"strategy": "greedy_batch", "temperature": 2.0}, verbose=False)
    (note,) = write_huggingface(model, tmp_path)
    assert "temperature=2" in note
    assert compare_huggingface(model, tmp_path) <= TOLERANCE
    assert model.decoder.temperature == 2.0


def test_a_character_language_model_that_stays_behind_is_told(tmp_path: Path):
    model = XLSRCTCModel(cfg=model_config(architecture(), [" ", "क"], normalize=True, epsilon=1e-7)).eval()
    model.cfg.decoding.beam.ngram_lm_model = "lm.nemo"
    (note,) = write_huggingface(model, tmp_path)
    assert "is not exported" in note and "lm=" in note
    assert type(AutoProcessor.from_pretrained(tmp_path)).__name__ == "Wav2Vec2Processor"
