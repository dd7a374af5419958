"""NeMo's decoders on hand-made log-probabilities, with the language model's part checked against KenLM's own reader."""

import math
import subprocess
from functools import partial

import kenlm
import pytest
import torch
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

from data_prep.text.alphabet import load_alphabet
from lm_text import LM_SENTENCES, lm_lines
from nemo_models.decoding.beam_search import CompiledBeamCTCComputer
from nemo_models.decoding.settings import LM_ALPHA, LM_BETA, resolve_decoding_config
from nemo_models.decoding.strategy import (
    PADDED_LOG_PROB,
    configure_decoding,
    decode_log_probs,
    mask_log_probs,
    one_cpu_thread,
    pad_log_probs,
)
from nemo_models.language_models import ngram_lm

LABELS = load_alphabet()
BLANK = len(LABELS)


@pytest.fixture
def model(tiny_model):
    yield tiny_model
    tiny_model.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)


def _certain(text):
    """Log-probs of a recogniser that is sure of `text`: each label on one frame, with a blank after it."""
    frames = torch.full((2 * len(text), BLANK + 1), PADDED_LOG_PROB)
    for index, character in enumerate(text):
        frames[2 * index, LABELS.index(character)] = 0.0
        frames[2 * index + 1, BLANK] = 0.0
    return frames


def _unsure(first, either, share, other):
    """One character, then one that is `either` with probability `share` or else `other`."""
    frames = _certain(first + either).unsqueeze(0)
    frames[0, 2, LABELS.index(either)] = math.log(share)
    frames[0, 2, LABELS.index(other)] = math.log(1 - share)
    return frames


def _noise(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(len(lengths), max(lengths), BLANK + 1, generator=generator)
    return scores.log_softmax(-1), torch.tensor(lengths)


def _texts(hypotheses):
    return [hypothesis.text for hypothesis in hypotheses]


def test_mask_makes_padding_certain_blanks_and_nothing_else():
    log_probs, lengths = _noise([5, 2, 0])
    before = log_probs.clone()
    masked = mask_log_probs(log_probs, lengths, BLANK)
    assert torch.equal(log_probs, before), "the input is not written to"
    for row, length in enumerate(lengths):
        assert torch.equal(masked[row, :length], log_probs[row, :length])
        assert (masked[row, length:, BLANK] == 0).all()
        assert (masked[row, length:, :BLANK] == PADDED_LOG_PROB).all()


def test_rows_of_several_lengths_become_one_masked_batch():
    log_probs, lengths = _noise([5, 2, 0])
    rows = [row[:length] for row, length in zip(log_probs, lengths.tolist(), strict=True)]
    batch, counts = pad_log_probs(rows)
    assert torch.equal(batch, mask_log_probs(log_probs, lengths, BLANK)) and counts.tolist() == lengths.tolist()


def test_mask_keeps_half_precision_finite():
    log_probs, lengths = _noise([3, 1])
    masked = mask_log_probs(log_probs.half(), lengths, BLANK)
    assert masked.dtype == torch.float16
    assert torch.isfinite(masked).all()


@pytest.mark.parametrize("beam_size", [4, 16])
def test_language_model_flips_the_answer(model, hindi_lm, beam_size):
    log_probs, lengths = _unsure("क", "त", 0.6, "ल"), torch.tensor([4])
    configure_decoding(model)
    assert _texts(decode_log_probs(model, log_probs, lengths)) == ["कत"]
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"beam_size": beam_size}})
    assert _texts(decode_log_probs(model, log_probs, lengths)) == ["कत"]
    beam = {"beam_size": beam_size, "ngram_lm_model": str(hindi_lm)}
    configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
    assert _texts(decode_log_probs(model, log_probs, lengths)) == ["कल"]
    configure_decoding(model, {"strategy": "beam_batch", "beam": {**beam, "ngram_lm_alpha": 0.0}})
    assert _texts(decode_log_probs(model, log_probs, lengths)) == ["कत"]


def test_beam_score_is_kenlms(model, lmplz, tmp_path):
    """With certain log-probs a hypothesis' score is α · ln P(text) + β · characters. float32 sums: hence 1e-3."""
    tokens = "".join(" ".join(chr(LABELS.index(c) + 100) for c in line) + "\n" for line in lm_lines())
    command = [lmplz, "-o", "4", "--discount_fallback", "-S", "100M"]
    arpa = subprocess.run(command, input=tokens.encode(), capture_output=True, check=True).stdout
    (tmp_path / "lm.arpa").write_bytes(arpa)
    reader = kenlm.Model(str(tmp_path / "lm.arpa"))
    NGramGPULanguageModel.from_file(tmp_path / "lm.arpa", vocab_size=BLANK).save_to(str(tmp_path / "lm.nemo"))
    alpha, beta = 0.7, 0.3
    beam = {"ngram_lm_model": str(tmp_path / "lm.nemo"), "ngram_lm_alpha": alpha, "beam_beta": beta}
    configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
    for text in (*LM_SENTENCES[:3], "कल किताब", "ऋषि ने ऑटो छोड़ा", "ङञढ"):
        frames = _certain(text)
        (hypothesis,) = decode_log_probs(model, frames[None], torch.tensor([len(frames)]))
        expected = reader.score(" ".join(chr(LABELS.index(c) + 100) for c in text)) * math.log(10)
        assert hypothesis.text == text
        assert float(hypothesis.score) == pytest.approx(alpha * expected + beta * len(text), abs=1e-3)


@pytest.mark.parametrize("strategy", ["greedy_batch", "beam_batch"])
def test_text_and_score_do_not_depend_on_the_batch(model, hindi_lm, strategy):
    log_probs, lengths = _noise([60, 11, 37, 24, 1, 50])
    lm = {} if strategy == "greedy_batch" else {"ngram_lm_model": str(hindi_lm)}
    configure_decoding(model, {"strategy": strategy, "beam": {"beam_size": 8, **lm}})
    together = decode_log_probs(model, log_probs, lengths)
    for row, length in enumerate(lengths):
        (alone,) = decode_log_probs(model, log_probs[row : row + 1, :length], lengths[row : row + 1])
        assert alone.text == together[row].text
        assert float(alone.score) == pytest.approx(float(together[row].score), abs=1e-4)


def test_without_the_mask_nemos_own_search_depends_on_the_batch(model, hindi_lm, monkeypatch):
    """Why the mask is there, for a GPU runs NeMo's search. If this fails, NeMo was mended."""
    monkeypatch.setattr(CompiledBeamCTCComputer, "replacing", lambda computer: computer)
    log_probs, lengths = _noise([60, 11, 37, 24, 1, 50])
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"beam_size": 8, "ngram_lm_model": str(hindi_lm)}})

    def decode(search):
        alone = [search(log_probs[row : row + 1, :n], lengths[row : row + 1])[0].text for row, n in enumerate(lengths)]
        return _texts(search(log_probs, lengths)), alone

    together, alone = decode(model.decoding.ctc_decoder_predictions_tensor)
    assert together != alone
    together, alone = decode(partial(decode_log_probs, model))
    assert together == alone


def test_model_output_decodes_alike_alone_and_padded(model, hindi_lm):
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([16_000, 5_000, 11_000])
    signal = torch.randn(3, 16_000, generator=generator)
    beam = {"beam_size": 8, "ngram_lm_model": str(hindi_lm), "ngram_lm_alpha": 1.0, "beam_beta": 2.5}
    configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
    with torch.inference_mode():
        log_probs, frames, _ = model(input_signal=signal, input_signal_length=lengths)
        together = _texts(decode_log_probs(model, log_probs, frames))
        for row, samples in enumerate(lengths):
            outputs = model(input_signal=signal[row : row + 1, :samples], input_signal_length=lengths[row : row + 1])
            assert _texts(decode_log_probs(model, *outputs[:2])) == [together[row]]
    assert all(together)


@pytest.mark.parametrize("strategy", ["greedy_batch", "beam_batch"])
def test_silence_is_an_empty_text(model, strategy):
    configure_decoding(model, {"strategy": strategy})
    log_probs = mask_log_probs(torch.zeros(2, 7, BLANK + 1), torch.tensor([0, 0]), BLANK)
    assert _texts(decode_log_probs(model, log_probs, torch.tensor([7, 0]))) == ["", ""]


def test_defaults_depend_on_the_language_model():
    assert resolve_decoding_config(None).strategy == "greedy_batch"
    assert resolve_decoding_config({"strategy": "beam_batch"}).beam.beam_beta == 0.0
    beam = resolve_decoding_config({"beam": {"ngram_lm_model": "x.nemo", "beam_beta": None}}).beam
    assert (beam.ngram_lm_alpha, beam.beam_beta) == (LM_ALPHA, LM_BETA)
    beam = resolve_decoding_config({"beam": {"ngram_lm_model": "x.nemo", "ngram_lm_alpha": 2, "beam_beta": 0}}).beam
    assert (beam.ngram_lm_alpha, beam.beam_beta) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"strategy": "flashlight"}, "expected one of greedy_batch, beam_batch, pyctcdecode"),
        ({"strategy": "pyctcdecode"}, "kind=word"),
        ({"beam": {"ngram_lm_alpha": "much"}}, "much"),
        ({"strategy": "beam_batch", "beam": {"beam_size": 0}}, "beam_size=0"),
        ({"beam": {"beam_size": "wide"}}, "wide"),
        ({"beam": {"ngram_lm_alpha": float("nan")}}, "ngram_lm_alpha=nan"),
        ({"beam": {"beam_beta": "inf"}}, "beam_beta=inf"),
        ({"beam": {"beam_sise": 3}}, "did you mean ctc_decoding.beam.beam_size"),
        ({"beem": {}}, "did you mean ctc_decoding.beam"),
        ({"beam": {"xyz": 3}}, "known here: beam_size, "),
        (
            {"greedy": {"boosting_tree": {"key_phrases_list": ["क"]}}},
            "greedy decoding does not use them; use .*beam_batch",
        ),
        ({"greedy": {"ngram_lm_model": "lm.nemo"}}, "use ctc_decoding.beam.ngram_lm_model"),
        ({"strategy": "beam_batch", "beam": {"ngram_lm_model": "words.arpa"}}, "train_ngram_lm.py"),
        ({"beam": 3}, "beam"),
    ],
)
def test_impossible_settings_are_named(settings, named):
    with pytest.raises(ValueError, match=named) as error:
        resolve_decoding_config(settings)
    assert "\n" not in str(error.value)


def test_language_model_of_other_labels_is_refused(model, lmplz, tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(LM_SENTENCES), encoding="utf-8")
    ngram_lm.train_ngram_lm([text], LABELS[::-1], tmp_path / "turned.nemo", order=2)
    ngram_lm.train_ngram_lm([text], [*LABELS, "x"], tmp_path / "longer.nemo", order=2)
    monkeypatch.setattr(ngram_lm, "fingerprint_language", lambda language: "hi-0-00000000")
    ngram_lm.train_ngram_lm([text], LABELS, tmp_path / "older.nemo", order=2)
    model.save_to(str(tmp_path / "acoustic.nemo"))
    (tmp_path / "words.nemo").write_text("no archive")
    cases = {
        "turned": "other labels",
        "longer": "over 66 labels, expected 65",
        "older": "normalised by hi-0-00000000, expected",
        "acoustic": "expected an n-gram language model",
        "words": "expected a .nemo file",
    }
    for name, message in cases.items():
        beam = {"ngram_lm_model": str(tmp_path / f"{name}.nemo")}
        with pytest.raises(ValueError, match=message):
            configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
    with pytest.raises(FileNotFoundError, match=r"absent\.nemo: no such file"):
        configure_decoding(model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": "absent.nemo"}})


def test_thread_count_comes_back_after_an_error():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_cpu_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
