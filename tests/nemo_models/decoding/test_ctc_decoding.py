"""Times, confidence and n-best lists of every search, on the output of a model that recognises what it hears."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from data_prep.text.alphabet import load_alphabet
from nemo_models import ctc_model
from nemo_models.decoding.alignment import align_tokens
from nemo_models.decoding.beam_search import CompiledBeamCTCComputer
from nemo_models.decoding.confidence import agreement, weigh
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs, decode_n_best, mask_log_probs
from nemo_models.language_models import ngram_lm
from recogniser import read_sentences, recognise, synthesize

LABELS = load_alphabet()
BLANK = len(LABELS)
FRAME_S = 0.02
N_BEST = {"return_best_hypothesis": False}
SHARES = ("frame_confidence", "token_confidence", "word_confidence")
SEARCHES = ("greedy", "beam", "beam with LM", "beam with LM, NeMo's own", "pyctcdecode")


@pytest.fixture(scope="module")
def token_lm(lmplz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("token_lm")
    (folder / "text.txt").write_text("\n".join(read_sentences("lm", 200)), encoding="utf-8")
    ngram_lm.train_ngram_lm([folder / "text.txt"], LABELS, folder / "lm.nemo", order=4)
    return folder / "lm.nemo"


@pytest.fixture(scope="module")
def word_lm(lmplz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("word_lm")
    (folder / "text.txt").write_text("\n".join(read_sentences("lm", 200)), encoding="utf-8")
    ngram_lm.train_ngram_lm([folder / "text.txt"], LABELS, folder / "words.arpa", order=2, kind="word")
    return folder / "words.arpa"


@pytest.fixture
def model(recogniser):
    yield recogniser
    recogniser.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)


@pytest.fixture
def use(model, token_lm, word_lm, monkeypatch):
    """Configure one of `SEARCHES`."""

    def configure(search: str, **settings):
        beam = {"beam_size": 8}
        if "LM" in search:
            beam["ngram_lm_model"] = str(token_lm)
        if "own" in search:
            monkeypatch.setattr(CompiledBeamCTCComputer, "replacing", lambda computer: computer)
        if search == "pyctcdecode":
            beam["ngram_lm_model"] = str(word_lm)
        strategy = {"greedy": "greedy_batch", "pyctcdecode": "pyctcdecode"}.get(search, "beam_batch")
        configure_decoding(model, {"strategy": strategy, "beam": beam, **settings})

    return configure


@pytest.fixture(scope="session")
def spoken(recogniser, tmp_path_factory):
    """Unseen sentences by an unseen voice: sentences and waveforms, of unlike length."""
    sentences = read_sentences("test", 8)
    return sentences, synthesize("espeak-steph2-p50-s155", sentences, tmp_path_factory.mktemp("spoken"))


@pytest.fixture(scope="session")
def output(recogniser, spoken):
    """Log-probabilities and lengths of `spoken`, in one padded batch."""
    return recognise(recogniser, spoken[1])


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


def _align_simply(log_probs: np.ndarray, tokens: Sequence[int]) -> list[list[int]]:
    """Forced alignment as textbooks have it: a table of best scores over frames and states, read back from its end."""
    states = [BLANK]
    for token in tokens:
        states += [token, BLANK]
    table = np.full((len(log_probs), len(states)), -np.inf)
    table[0, :2] = log_probs[0, states[:2]]

    def ways(frame, state):
        skip = state >= 2 and states[state] not in (BLANK, states[state - 2])
        sources = [state] + [state - 1] * (state >= 1) + [state - 2] * skip
        return max((table[frame - 1, source], -source) for source in sources)

    for frame in range(1, len(log_probs)):
        for state in range(len(states)):
            table[frame, state] = ways(frame, state)[0] + log_probs[frame, states[state]]
    state = int(np.argmax(table[-1, -2:])) + len(states) - 2
    frames = [[] for _ in tokens]
    for frame in range(len(log_probs) - 1, -1, -1):
        if state % 2:
            frames[state // 2].append(frame)
        if frame:
            state = -ways(frame, state)[1]
    return [[min(own), max(own) + 1] for own in frames]


@pytest.mark.parametrize("search", SEARCHES)
def test_times_are_those_of_a_forced_alignment(model, use, output, search):
    use(search)
    log_probs, lengths = output[0][:3], output[1][:3]
    for row, hyps in enumerate(decode_n_best(model, log_probs, lengths, timestamps=True)):
        for hyp in hyps[:2]:
            spans = _align_simply(log_probs[row, : lengths[row]].numpy().astype(float), hyp.tokens)
            written = [index for index, token in enumerate(hyp.tokens) if LABELS[token] != " "]
            spans = spans[written[0] : written[-1] + 1]  # the text has no spaces at its ends
            characters = hyp.timestamp["char"]
            assert "".join(item["char"] for item in characters) == hyp.text
            found = [[item["start_offset"], item["end_offset"]] for item in characters]
            assert np.abs(np.array(found) - np.array(spans)).max() <= 1  # ties of two paths
            words = hyp.timestamp["word"]
            assert [item["word"] for item in words] == hyp.text.split()
            starts = [i for i, c in enumerate(hyp.text) if c != " " and (i == 0 or hyp.text[i - 1] == " ")]
            ends = [i for i, c in enumerate(hyp.text) if c != " " and (hyp.text + " ")[i + 1] == " "]
            assert [word["start_offset"] for word in words] == [found[i][0] for i in starts]
            assert [word["end_offset"] for word in words] == [found[i][1] for i in ends]
            for item in (*characters, *words):
                assert item["start"] == pytest.approx(item["start_offset"] * FRAME_S)
                assert item["end"] == pytest.approx(item["end_offset"] * FRAME_S)


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


def test_a_repeated_label_ends_with_its_last_frame():
    path = [BLANK, 3, 3, 3, BLANK, 3, 5, 5, BLANK, BLANK]
    log_probs = torch.nn.functional.one_hot(torch.tensor(path), BLANK + 1).float().mul(20).log_softmax(-1).numpy()
    assert align_tokens(log_probs, [3, 3, 5]).tolist() == [[1, 4], [5, 6], [6, 8]]
    assert align_tokens(log_probs, []).tolist() == []
    with pytest.raises(ValueError, match="4 frames: expected 5 or more to spell 3 tokens"):
        align_tokens(log_probs[:4], [3, 3, 3])


def test_words_do_not_reach_into_the_silence_between_them(model, use, tmp_path):
    """Words spoken one by one with half a second of silence between: every time lies where its word was said."""
    words = ["किताब", "बाज़ार", "नमस्ते", "पानी", "शहर"]
    silence = np.zeros(8000, np.float32)
    pieces, bounds = [silence], []
    for wave in synthesize("espeak-m5-p45-s165", words, tmp_path):
        loud = np.flatnonzero(np.abs(wave) > 0.01)
        wave = wave[loud[0] : loud[-1] + 1]
        start = sum(map(len, pieces))
        bounds.append((start / 16000, (start + len(wave)) / 16000))
        pieces += [wave, silence]
    output = recognise(model, [np.concatenate(pieces)])
    for search in ("greedy", "beam"):
        use(search)
        (hyp,) = decode_log_probs(model, *output, timestamps=True)
        found = [time for time in hyp.timestamp["word"] if len(time["word"]) > 1]
        assert len(found) == len(words), hyp.text
        for time, (start, end) in zip(found, bounds, strict=True):
            # a frame hears 25 ms, and a label may come a frame or two beside its sound
            assert start - 0.1 <= time["start"] < time["end"] <= end + 0.1, (time, start, end)


@pytest.mark.parametrize("search", SEARCHES)
def test_every_word_and_character_has_a_confidence(model, use, output, search):
    use(search)
    for hyp in decode_log_probs(model, *output, confidence=True):
        assert len(hyp.word_confidence) == len(hyp.text.split())
        assert len(hyp.token_confidence) == len(hyp.text)
        assert all(0 <= value <= 1 for value in (*hyp.word_confidence, *hyp.token_confidence, *hyp.frame_confidence))


@pytest.mark.parametrize("search", ["greedy", "beam"])  # with a language model hardly a word is wrong here
def test_confidence_separates_right_words_from_wrong_ones(model, use, spoken, output, search):
    use(search)
    right, wrong = [], []
    for sentence, hyp in zip(spoken[0], decode_log_probs(model, *output, confidence=True), strict=True):
        for word, value in zip(hyp.text.split(), hyp.word_confidence, strict=True):
            (right if word in sentence.split() else wrong).append(value)
    pairs = [(good > bad) + 0.5 * (good == bad) for good in right for bad in wrong]
    assert len(pairs) > 50
    assert np.mean(pairs) > 0.65  # area under the ROC curve; 0.83 on 180 utterances, and few words are wrong in these


def test_confidence_is_the_share_of_the_beam_that_agrees():
    shares = weigh([np.log(0.5), np.log(0.3), np.log(0.2)])
    beam = [["कल", "शाम", "को"], ["कल", "को"], ["कल", "शाम", "हो"]]
    assert agreement(beam[0], beam, shares) == pytest.approx([1.0, 0.7, 0.8])
    assert weigh([float("-inf")]).tolist() == [1.0]
    assert agreement([], [[], ["कल"]], [0.5, 0.5]) == []


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
