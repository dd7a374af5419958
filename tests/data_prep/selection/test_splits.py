from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.selection.splits import DEFAULT_FRACTIONS, assign_splits, check_split_settings

SPEAKERS = [f"spk{number:04d}" for number in range(3000)]
NAMES = st.sets(st.text(min_size=1, max_size=4), min_size=3, max_size=60)


def test_shares_are_met_over_many_speakers():
    counts = Counter(assign_splits(SPEAKERS).values())
    for split, share in DEFAULT_FRACTIONS.items():
        assert counts[split] / len(SPEAKERS) == pytest.approx(share, abs=0.03)  # four standard deviations of a binomial


@given(NAMES, st.integers(0, 5))
def test_every_speaker_has_one_split_and_no_split_is_empty(names: set[str], seed: int):
    splits = assign_splits(names, seed=seed)
    assert splits.keys() == names and set(splits.values()) == {"train", "dev", "test"}
    assert splits == assign_splits(sorted(names, reverse=True), seed=seed)


@given(NAMES, NAMES)
def test_more_data_moves_no_one_out_of_train(names: set[str], more: set[str]):
    before, after = assign_splits(names), assign_splits(names | more)
    by_hash = assign_splits({*SPEAKERS, *names})  # so many speakers leave no split empty
    assert not [name for name in names if before[name] == by_hash[name] == "train" != after[name]]


def test_an_empty_split_is_filled_from_the_other_evaluation_split_before_train():
    """Hashes 0.035, 0.048 (test) and 0.246 (train): with two more in train, the last one used to fill dev."""
    names = {"487737", "12287", "456399"}
    assert assign_splits(names) == {"487737": "test", "12287": "dev", "456399": "train"}
    assert assign_splits(names | {"622286", "595551"})["456399"] == "train"


def test_more_data_moves_no_one_at_all_once_the_splits_are_filled_by_hash():
    before, after = assign_splits(SPEAKERS[:200]), assign_splits(SPEAKERS)
    assert before.items() <= after.items()


def test_a_seed_is_a_choice():
    assert assign_splits(SPEAKERS, seed=1) != assign_splits(SPEAKERS, seed=2)


def test_listed_speakers_go_where_they_are_listed_and_the_rest_elsewhere():
    splits = assign_splits(SPEAKERS, listed={"dev": [], "test": SPEAKERS[:2]})
    assert [name for name in SPEAKERS if splits[name] == "test"] == SPEAKERS[:2]
    assert Counter(splits.values())["dev"] / len(SPEAKERS) == pytest.approx(1 / 9, abs=0.03)
    splits = assign_splits("abcd", listed={"dev": ["a"], "test": ["b"]})
    assert splits == {"a": "dev", "b": "test", "c": "train", "d": "train"}


def test_all_to_one():
    assert set(assign_splits(SPEAKERS, {"test": 1.0}).values()) == {"test"}
    assert assign_splits(["only"], {"train": 1.0, "dev": 0.0}) == {"only": "train"}
    assert assign_splits([], {"train": 1.0}) == {}


def test_too_few_speakers_are_an_error_with_the_remedy():
    with pytest.raises(ValueError, match=r"2 speakers \(a, b\) for train, dev, test.* 'splits=\{train: 1.0\}'"):
        assign_splits("ab")
    with pytest.raises(ValueError, match="1 speaker "):
        assign_splits("abc", listed={"dev": ["a", "b"]})
    with pytest.raises(ValueError, match="test_speakers=x, y: expected kept speakers; found a, b, c"):
        assign_splits("abc", listed={"test": ["y", "a", "x"]})


@pytest.mark.parametrize(
    ("fractions", "listed", "fault"),
    [
        ({"train": 0.8, "valid": 0.2}, {}, "unknown split valid; expected train, dev, test"),
        ({"train": 0.8, "dev": 0.1}, {}, "add up to 0.9"),
        ({"train": 1.5, "dev": -0.5}, {}, "splits.train=1.5: expected a number, 0 or more, 1 or less"),
        ({"train": "all"}, {}, "splits.train=all"),
        ({"train": 1.0}, {"dev": ["a", "b"], "test": ["b"]}, "found b in both"),
    ],
)
def test_wrong_settings_are_named(fractions: dict, listed: dict, fault: str):
    with pytest.raises(ValueError, match=fault):
        check_split_settings(fractions, listed)
