import itertools
import random

import numpy as np
import pytest

from data_prep.selection.duplicates import (
    find_duplicate_audio,
    find_duplicate_text,
    find_first_equal,
    find_text_in_evaluation,
)
from data_prep.selection.kept_index import KeptIndex, KeptRow, digest_text

SPLITS = ("train", "dev", "test")


def make_index(*rows: tuple[str, str, str, str] | None, order: list[int] | None = None) -> KeptIndex:
    """Index rows of (digest, speaker, text, split) in any order; `None` is a rejected row."""
    kept = [
        KeptRow(at, row[0] * (32 // len(row[0])), digest_text(row[2]), row[1], row[1], row[3])
        for at, row in enumerate(rows)
        if row
    ]
    index = KeptIndex(SPLITS, [kept[number] for number in order or range(len(kept))])
    index.close()
    return index


ROWS = (
    ("a", "राम", "कमल", "train"),
    None,
    ("b", "राम", "कमल", "train"),
    ("a", "सीता", "कमल", "dev"),
    ("a", "सीता", "बाग", "test"),
    ("c", "सीता", "बाग", "dev"),
    ("d", "राम", "बाग", "train"),
)
ALL = np.ones(6, bool)


def test_repeated_audio_is_rejected_but_for_its_first_place():
    found = find_duplicate_audio(make_index(*ROWS), ALL)
    assert found == {
        3: ("duplicate_audio", "the samples of {first}", 0),
        4: ("conflicting_text", "the samples of {first}, which has another text", 0),
    }
    alive = ALL.copy()
    alive[0] = False  # a row that is rejected already is nobody's first
    assert find_duplicate_audio(make_index(*ROWS), alive).keys() == {4}
    assert find_duplicate_audio(make_index(), np.ones(0, bool)) == {}


def test_the_order_in_which_units_are_finished_does_not_matter():
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 37):
        index = make_index(*ROWS, order=list(order))
        assert find_duplicate_audio(index, ALL) == find_duplicate_audio(make_index(*ROWS), ALL)
        assert find_duplicate_text(index, ALL) == find_duplicate_text(make_index(*ROWS), ALL)


def test_digests_that_share_one_half_are_different():
    rows = (
        ("a" * 32, "s", "क", "train"),
        ("a" * 16 + "b" * 16, "s", "ख", "train"),
        ("b" * 16 + "a" * 16, "s", "ग", "train"),
    )
    assert find_duplicate_audio(make_index(*rows), np.ones(3, bool)) == {}


def test_repeated_text_counts_for_the_same_speaker_only():
    assert find_duplicate_text(make_index(*ROWS), ALL) == {
        2: ("duplicate_text", "the text of this speaker of {first}", 0),
        5: ("duplicate_text", "the text of this speaker of {first}", 4),
    }


def test_texts_of_evaluation_splits_leave_training():
    found = find_text_in_evaluation(make_index(*ROWS), ALL)
    assert {at: detail for at, (_, detail, _) in found.items()} == {
        5: "the same text is in test",
        6: "the same text is in test",
        0: "the same text is in dev",
        2: "the same text is in dev",
    }
    alive = np.array([True, True, False, False, False, True])  # without positions 3, 4, 5
    assert find_text_in_evaluation(make_index(*ROWS), alive) == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_first_equal_key_is_that_of_a_plain_search(seed: int):
    chance = random.Random(seed)
    keys = np.array([[chance.randrange(3), chance.randrange(3)] for _ in range(60)], "uint64")
    alive = np.array([chance.random() < 0.7 for _ in range(60)])
    expected = [
        next((j for j in range(i) if alive[j] and (keys[i] == keys[j]).all()), i) if alive[i] else i for i in range(60)
    ]
    assert find_first_equal(keys, alive).tolist() == expected
