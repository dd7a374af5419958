"""The demo's lists: no sentence in two of them, nothing that the alphabet lacks, no voice heard before its turn."""

import itertools
from pathlib import Path

import pytest

from data_prep.synthesis.corpus import read_sentences, read_voice_names
from data_prep.synthesis.voices import parse_voice
from data_prep.text.normalizer import normalize_text
from project import ROOT

FOLDER = ROOT / "scripts" / "demo_data"
SIZES = {"train": 150, "dev": 40, "test": 60, "lm": 400}


def sentences(name: str) -> list[str]:
    return [normalize_text(line) for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", SIZES)
def test_every_line_is_usable_and_comes_once(name: str):
    lines = sentences(name)
    assert len(lines) >= SIZES[name]
    assert read_sentences([FOLDER / f"{name}.txt"], min_words=3, max_words=12) == lines


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(SIZES, 2)))
def test_no_two_lists_share_a_sentence(one: str, other: str):
    assert not set(sentences(one)) & set(sentences(other))


def test_dev_and_test_voices_are_variants_that_nothing_was_trained_on():
    variants = {
        name: {
            (voice.engine, voice.variant) for voice in map(parse_voice, read_voice_names(FOLDER / f"{name}_voices.txt"))
        }
        for name in ("checkpoint", "train", "dev", "test")
    }
    assert all(variants.values())
    assert not (variants["dev"] | variants["test"]) & (variants["checkpoint"] | variants["train"])
    assert not variants["dev"] & variants["test"]


@pytest.mark.slow
def test_checkpoints_training_text_holds_no_sentence_of_the_demo(shared_data: Path):
    texts = sorted((shared_data / "text").glob("*.txt"))
    assert texts
    trained_on = {normalize_text(line) for path in texts for line in path.read_text(encoding="utf-8").splitlines()}
    for name in SIZES:
        assert not trained_on & set(sentences(name))
