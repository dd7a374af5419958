"""Times of characters and words for every search, beside a forced alignment of textbooks."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nemo_models.decoding.alignment import align_tokens
from nemo_models.decoding.strategy import decode_log_probs, decode_n_best
from recogniser import recognise, synthesize
from searches import BLANK, FRAME_S, LABELS, SEARCHES


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
