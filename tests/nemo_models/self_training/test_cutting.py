"""Long transcripts are cut at pauses: every word once, no piece too long where a pause allows it."""

import itertools
import random

import pytest

from nemo_models.self_training.cutting import cut_transcript
from nemo_models.self_training.settings import CutSettings

SETTINGS = CutSettings(pause_s=0.3, margin_s=0.1)


def words_at(*times: tuple[float, float]) -> list[dict]:
    return [{"word": str(number), "start": start, "end": end} for number, (start, end) in enumerate(times)]


def test_a_short_recording_stays_whole():
    words = words_at((1.0, 2.0), (4.0, 5.0))
    (piece,) = cut_transcript(words, 6.0, 6.0, SETTINGS)
    assert (piece.start_s, piece.end_s, list(piece.words)) == (0.0, 6.0, words)


def test_the_longest_of_the_late_pauses_is_taken():
    words = words_at((0.5, 1.0), (2.5, 3.0), (3.4, 4.0), (4.8, 5.2), (5.3, 9.0))
    pieces = cut_transcript(words, 10.0, 6.2, SETTINGS)
    assert [[word["word"] for word in piece.words] for piece in pieces] == [["0", "1", "2"], ["3", "4"]]
    # 0.1 s beside the words
    assert [(piece.start_s, piece.end_s) for piece in pieces] == [pytest.approx((0.4, 4.1)), pytest.approx((4.7, 9.1))]


def test_pieces_meet_in_the_middle_of_a_short_pause():
    words = words_at((0.0, 2.0), (2.4, 5.0))
    first, second = cut_transcript(words, 5.0, 4.0, CutSettings(pause_s=0.3, margin_s=0.5))
    assert first.end_s == second.start_s == pytest.approx(2.2)


def test_a_stretch_without_a_pause_stays_too_long_and_ends_at_the_next_one():
    words = words_at((0.0, 3.0), (3.1, 6.0), (6.1, 9.0), (9.5, 10.0))
    pieces = cut_transcript(words, 10.0, 4.0, SETTINGS)
    assert [len(piece.words) for piece in pieces] == [3, 1]
    assert pieces[0].end_s - pieces[0].start_s > 4.0


def test_every_word_is_in_one_piece_and_pieces_do_not_overlap():
    generator = random.Random(0)
    for _ in range(200):
        at, times = 0.0, []
        for _ in range(generator.randrange(1, 40)):
            start = at + generator.choice((0.05, 0.2, 0.4, 1.5))
            at = start + generator.uniform(0.1, 1.0)
            times.append((start, at))
        words = words_at(*times)
        pieces = cut_transcript(words, at + 0.5, 6.0, SETTINGS)
        assert [word for piece in pieces for word in piece.words] == words
        for before, after in itertools.pairwise(pieces):
            assert before.end_s <= after.start_s
        for piece in pieces:
            assert 0 <= piece.start_s <= piece.words[0]["start"] <= piece.words[-1]["end"] <= piece.end_s
            inner = itertools.pairwise(piece.words)
            if piece.end_s - piece.start_s > 6.0 + 1e-9:  # then nothing inside it could be cut
                assert all(after["start"] - before["end"] < SETTINGS.pause_s for before, after in inner)
