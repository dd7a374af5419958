"""Cues that can be read: short lines, long enough, no word alone at the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_models.transcription.subtitles import SubtitleSettings, list_cues
from nemo_models.transcription.transcripts import Word

DEFAULTS = SubtitleSettings()


def make_words(texts, seconds=0.4, pause_s=0.05):
    words, time = [], 0.0
    for text in texts:
        words.append(Word(text, time, time + seconds))
        time += seconds + pause_s
    return words


def test_lines_keep_the_limit():
    """Words whose middle break would leave 47 characters in one line."""
    for first in range(20, 46):
        texts = ["क" * first, "ख" * (84 - first)]
        for cue in list_cues(make_words(texts), DEFAULTS):
            assert all(len(line) <= 42 or " " not in line for line in cue.text.split("\n"))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.integers(10, 60), st.integers(1, 2))
def test_no_line_is_too_long_and_no_word_is_lost(lengths, limit, lines):
    texts = ["क" * min(length, limit) for length in lengths]
    cues = list_cues(make_words(texts), SubtitleSettings(line_characters=limit, lines=lines))
    assert " ".join(cue.text.replace("\n", " ") for cue in cues) == " ".join(texts)
    for cue in cues:
        assert len(cue.text.split("\n")) <= lines
        assert all(len(line) <= limit for line in cue.text.split("\n"))


def test_the_last_word_is_not_left_alone():
    """18 words of five letters: a cue holds fourteen, so that filling the first would leave four."""
    cues = list_cues(make_words(["शब्दक"] * 18, 0.2), DEFAULTS)
    counts = [len(cue.text.split()) for cue in cues]
    assert sum(counts) == 18 and max(counts) - min(counts) <= 2


def test_cues_end_at_the_longer_silence():
    words = make_words(["शब्दक"] * 18, 0.2)
    words[8:] = [Word(word.word, word.start_s + 0.4, word.end_s + 0.4) for word in words[8:]]
    first, _ = list_cues(words, DEFAULTS)
    assert len(first.text.split()) == 8


def test_short_cues_are_shown_longer_in_the_silence_around_them():
    words = [Word("हाँ", 1.0, 1.1), Word("जी", 5.0, 5.2), Word("नहीं", 5.85, 7.0)]
    cues = [(cue.start_s, cue.end_s) for cue in list_cues(words, DEFAULTS)]
    assert cues[0] == (1.0, 1.7)
    assert cues[1] == (pytest.approx(5.0), pytest.approx(5.85))  # 0.7 s, and the gap behind it closed
    assert cues[2] == (5.85, 7.0)


def test_small_gaps_are_closed_and_large_ones_stay():
    settings = SubtitleSettings(pause_s=0.1)
    words = [Word("एक", 0.0, 1.0), Word("दो", 1.2, 2.0), Word("तीन", 2.5, 3.5)]
    assert [(cue.start_s, cue.end_s) for cue in list_cues(words, settings)] == [(0.0, 1.2), (1.2, 2.0), (2.5, 3.5)]


def test_a_label_begins_each_cue_and_counts_for_the_limit():
    cues = list_cues(make_words(["क" * 20] * 8), DEFAULTS, "[channel 0] ")
    assert all(cue.text.startswith("[channel 0] ") for cue in cues)
    assert all(len(line) <= 42 for cue in cues for line in cue.text.split("\n"))


@pytest.mark.parametrize(
    "wrong", [{"lines": 3}, {"line_characters": 0}, {"shortest_cue_s": 7.0}, {"pause_s": -1.0}, {"closed_gap_s": "x"}]
)
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"^subtitles.{next(iter(wrong))}="):
        SubtitleSettings(**wrong)
