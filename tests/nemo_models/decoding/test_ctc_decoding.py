"""Texts and n-best lists of every search, on the output of a model that recognises its input."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from nemo_models import ctc_model
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs, decode_n_best, mask_log_probs
from recogniser import recognise
from searches import BLANK, LABELS, SEARCHES

N_BEST = {"return_best_hypothesis": False}
SHARES = ("frame_confidence", "token_confidence", "word_confidence")


def _facts(hypotheses) -> list:
    """Everything about an utterance's hypotheses that a user can see."""
    kinds = ("char", "word", "segment")
    return [
        (hyp.text, float(hyp.score), *(hyp.timestamp[kind] for kind in kinds), *(getattr(hyp, name) for name in SHARES))
        for hyp in hypotheses
    ]


def _find_dependence(model, log_probs: torch.Tensor, lengths: torch.Tensor) -> Iterator[str]:
    """Decode each utterance alone, in other batches and in another order; yield what differs, even in the last bit.

    Not with `assert`: where results differ as they should, pytest would compare them for many seconds.
    """

    def decode(rows: Sequence[int], frames: int) -> list:
        return [_facts(hyps) for hyps in decode_n_best(model, log_probs[rows, :frames], lengths[rows], True, True)]

    frames, order = log_probs.shape[1], list(range(len(lengths)))
    together = decode(order, frames)
    if decode(order[::-1], frames) != together[::-1]:
        yield "order"
    for row in order:
        if decode([row], int(lengths[row])) != [together[row]]:
            yield f"utterance {row} alone"
    for half in (order[1::2], order[::2]):
        if decode(half, int(lengths[half].max())) != [together[row] for row in half]:
            yield f"batch of {half}"


@pytest.mark.parametrize("search", SEARCHES)
def test_nothing_depends_on_the_batch(model, use, output, search):
    use(search)
    assert not list(_find_dependence(model, output[0][:5], output[1][:5]))


@pytest.mark.slow
def test_without_the_mask_texts_depend_on_the_batch(model, use, spoken, monkeypatch):
    """NeMo's own search reads the frames of padding; so the test above cannot pass by accident."""
    monkeypatch.setattr(ctc_model, "mask_log_probs", lambda log_probs, lengths, blank_id: log_probs)
    unmasked = recognise(model, spoken[1][:4])
    use("beam with LM, NeMo's own")
    assert not list(_find_dependence(model, *unmasked))
    monkeypatch.setattr("nemo_models.decoding.strategy.mask_log_probs", lambda log_probs, lengths, blank_id: log_probs)
    assert next(_find_dependence(model, *unmasked), None)


def test_waveforms_give_the_same_alone_and_in_a_batch(model, use, spoken):
    """The encoder's float32 sums differ by 1e-4 with the batch: hence the tolerances of scores and confidence."""
    use("beam with LM")
    waves = spoken[1][:4]
    together = decode_log_probs(model, *recognise(model, waves), timestamps=True, confidence=True)
    for wave, hyp in zip(waves, together, strict=True):
        (alone,) = decode_log_probs(model, *recognise(model, [wave]), timestamps=True, confidence=True)
        assert alone.text == hyp.text
        assert alone.timestamp["word"] == hyp.timestamp["word"]
        assert alone.score == pytest.approx(hyp.score, abs=0.05)
        assert alone.word_confidence == pytest.approx(hyp.word_confidence, abs=0.02)


@pytest.mark.parametrize("search", SEARCHES)
def test_spaces_at_the_ends_are_never_shown(model, use, search):
    use(search)
    path = [LABELS.index(character) for character in " कब  तक "]
    frames = [label for index in path for label in (BLANK, index)]
    log_probs = torch.nn.functional.one_hot(torch.tensor(frames), BLANK + 1).float().mul(20).log_softmax(-1)[None]
    for hyp in decode_n_best(model, log_probs, torch.tensor([len(frames)]), timestamps=True, confidence=True)[0]:
        assert hyp.text == hyp.text.strip()
        assert "".join(item["char"] for item in hyp.timestamp["char"]) == hyp.text
        assert len(hyp.token_confidence) == len(hyp.text)
        assert [item["word"] for item in hyp.timestamp["word"]] == hyp.text.split()
    best = decode_log_probs(model, log_probs, torch.tensor([len(frames)]), timestamps=True)[0]
    assert best.text.split() == ["कब", "तक"]
    if search != "pyctcdecode":
        assert best.text == "कब  तक"
        assert best.timestamp["char"][0]["start_offset"] == 3
    if search == "greedy":  # NeMo's other call, for labels
        texts = model.decoding.ctc_decoder_predictions_tensor(torch.tensor([frames]), torch.tensor([len(frames)]))
        assert [hyp.text for hyp in texts] == ["कब  तक"]


@pytest.mark.parametrize("search", SEARCHES)
def test_an_n_best_list_has_no_text_twice_and_begins_with_the_best(model, use, output, search):
    use(search)
    best = decode_log_probs(model, *output)
    for hyp, hyps in zip(best, decode_n_best(model, *output), strict=True):
        texts, scores = [item.text for item in hyps], [float(item.score) for item in hyps]
        assert texts[0] == hyp.text
        assert len(set(texts)) == len(texts)
        assert scores == sorted(scores, reverse=True)
        assert len(texts) == 1 if search == "greedy" else len(texts) > 1 or search == "pyctcdecode"  # it prunes more


@pytest.mark.parametrize("search", SEARCHES)
def test_nemos_own_api_gives_the_same(model, use, spoken, search):
    use(search, confidence_cfg={"preserve_word_confidence": True})
    waves = spoken[1][:2]
    output = recognise(model, waves)
    expected = decode_log_probs(model, *output, timestamps=True, confidence=True)
    found = model.transcribe(waves, batch_size=2, timestamps=True, return_hypotheses=True, verbose=False)
    for hyp, other in zip(found, expected, strict=True):
        assert hyp.text == other.text
        # transcribe() makes batches of its own, and the encoder's float32 sums differ with them
        assert hyp.word_confidence == pytest.approx(other.word_confidence, abs=1e-3)
        for kind in ("char", "word", "segment"):
            assert [item["end_offset"] for item in hyp.timestamp[kind]] == [
                item["end_offset"] for item in other.timestamp[kind]
            ]
    if search != "greedy":
        model.change_decoding_strategy({**model.cfg.decoding, "beam": {**model.cfg.decoding.beam, **N_BEST}}, False)
        lists = model.transcribe(waves, batch_size=2, return_hypotheses=True, verbose=False)
        expected_lists = decode_n_best(model, *output)
        assert [[hyp.text for hyp in hyps] for hyps in lists] == [[hyp.text for hyp in hyps] for hyps in expected_lists]


def test_settings_survive_a_file_and_a_new_vocabulary(tiny_model, tmp_path):
    decoding_cfg = {"strategy": "beam_batch", "compute_timestamps": True, "beam": {"beam_size": 4, "beam_beta": 0.0}}
    tiny_model.change_decoding_strategy(decoding_cfg, verbose=False)
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    tiny_model.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)
    model = ctc_model.XLSRCTCModel.restore_from(str(tmp_path / "x.nemo"), map_location="cpu")
    assert model.cfg.decoding.strategy == "beam_batch" and model.decoding.compute_timestamps
    model.change_vocabulary(["क", "ख", " "])
    torch.nn.init.normal_(model.decoder.decoder_layers[0].weight, std=0.5)  # not only blanks
    (hyp,) = model.transcribe([np.random.default_rng(0).normal(size=16000).astype(np.float32)], timestamps=True)
    assert hyp.text and set(hyp.text) <= set("कख ")
    assert [item["word"] for item in hyp.timestamp["word"]] == hyp.text.split()


def test_a_new_vocabulary_leaves_the_language_model_of_the_old_one(tiny_model, hindi_lm, tmp_path):
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    model = ctc_model.XLSRCTCModel.restore_from(str(tmp_path / "x.nemo"), map_location="cpu")
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(hindi_lm)}})
    model.change_vocabulary(["क", "ख", " "])
    assert model.cfg.decoding.strategy == "greedy_batch" and model.cfg.decoding.beam.ngram_lm_model is None


def test_an_utterance_without_frames_is_an_empty_text(model, use):
    log_probs = mask_log_probs(torch.zeros(1, 5, BLANK + 1), torch.tensor([0]), BLANK)
    for search in SEARCHES:
        use(search)
        (hyp,) = decode_log_probs(model, log_probs, torch.tensor([0]), timestamps=True, confidence=True)
        assert hyp.text == "" and hyp.timestamp["word"] == [] and hyp.word_confidence == []
