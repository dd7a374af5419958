"""Alignments against jiwer, NIST's sclite, and an edit distance written here."""

import itertools
import random
import re
import shutil
import subprocess
import tracemalloc

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_models.evaluation import text_pairs
from nemo_models.evaluation.alignment import BLOCK, Blocks, Sequences, align, count_errors, find_cuts
from nemo_models.evaluation.text_pairs import cut_pairs
from nemo_models.evaluation.words import WordVocabulary

PAIRS = 3000


def make_pairs(count=PAIRS, seed=1):
    """References of up to 15 words from a small vocabulary, and hypotheses with errors of all kinds."""
    chosen = random.Random(seed)
    words = [f"w{number}" for number in range(30)]
    pairs = []
    for _ in range(count):
        reference = [chosen.choice(words) for _ in range(chosen.randint(1, 15))]
        hypothesis = []
        for word in reference:
            kind = chosen.random()
            hypothesis += [] if kind < 0.12 else [chosen.choice(words)] if kind < 0.3 else [word]
            hypothesis += [chosen.choice(words)] if kind > 0.9 else []
        pairs.append((reference, hypothesis))
    return pairs


def align_pairs(pairs):
    vocabulary = WordVocabulary()
    references, hypotheses = (vocabulary.read(" ".join(side) for side in column) for column in zip(*pairs, strict=True))
    return align(references, hypotheses), references, hypotheses


def test_totals_equal_jiwers():
    pairs = make_pairs()
    alignment, references, hypotheses = align_pairs(pairs)
    for (reference, hypothesis), errors in zip(pairs, alignment.totals.tolist(), strict=True):
        out = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        assert errors == out.substitutions + out.deletions + out.insertions
    assert (count_errors(references, hypotheses) == alignment.totals).all()


def run_sclite(pairs, folder):
    """Return substitutions, deletions and insertions of each utterance by NIST's sclite."""
    for name, side in (("ref", 0), ("hyp", 1)):
        lines = [f"{' '.join(pair[side])} (s-{number:05d})" for number, pair in enumerate(pairs)]
        (folder / f"{name}.trn").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [
        "sctk",
        "sclite",
        "-s",
        "-i",
        "spu_id",
        "-r",
        "ref.trn",
        "trn",
        "-h",
        "hyp.trn",
        "trn",
        "-o",
        "sgml",
        "stdout",
    ]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    found = {}
    for number, path in re.findall(r'<PATH id="\(s-(\d+)\)"[^>]*>\s*(.*?)\s*</PATH>', printed, re.S):
        kinds = [step.partition(",")[0] for step in path.split(":") if step]
        found[int(number)] = [kinds.count(kind) for kind in "SDI"]
    return [found[number] for number in range(len(pairs))]


@pytest.mark.skipif(shutil.which("sctk") is None, reason="sclite is not installed (Debian package sctk)")
def test_counts_equal_sclites(tmp_path):
    """Totals are never above sclite's, and substitutions, deletions and insertions equal where the totals do.

    sclite minimises 4 S + 3 (D + I), which three substitutions (12) and two insertions with two deletions (12) share:
    in a few utterances it takes an alignment with more errors than the fewest.
    """
    pairs = [pair for pair in make_pairs() if pair[1]]
    ours = align_pairs(pairs)[0].errors.tolist()
    theirs = run_sclite(pairs, tmp_path)
    differing = [number for number in range(len(pairs)) if sum(ours[number]) != sum(theirs[number])]
    assert all(sum(ours[number]) < sum(theirs[number]) for number in differing)
    assert len(differing) <= len(pairs) // 100
    assert all(ours[number] == theirs[number] for number in range(len(pairs)) if number not in differing)
    assert abs(np.sum(ours) - np.sum(theirs)) <= 0.005 * np.sum(theirs)


IDS = st.lists(st.integers(0, 4), max_size=8)


@settings(max_examples=150, deadline=None)
@given(IDS, IDS, st.lists(st.tuples(*[st.integers(0, 8)] * 4), max_size=6))
def test_a_block_never_raises_the_number_of_errors(reference, hypothesis, spans):
    spans = [(a, b, c, d) for a, b, c, d in spans if a < b <= len(reference) and c <= d <= len(hypothesis)]
    sides = [Sequences(np.array(side, np.int32), np.array([0, len(side)])) for side in (reference, hypothesis)]
    without = align(*sides)
    blocked = align(*sides, Blocks.from_lists([spans]))
    assert blocked.totals[0] <= without.totals[0]
    assert blocked.totals[0] == _distance(reference, hypothesis, spans)


def _distance(reference, hypothesis, spans):
    best = {}
    for i in range(len(reference) + 1):
        for j in range(len(hypothesis) + 1):
            options = [0] if i == j == 0 else []
            options += [best[i - 1, j] + 1] if i else []
            options += [best[i, j - 1] + 1] if j else []
            options += [best[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1])] if i and j else []
            options += [best[a, c] for a, b, c, d in spans if (b, d) == (i, j)]
            best[i, j] = min(options)
    return best[len(reference), len(hypothesis)]


def test_the_path_covers_both_sides_in_order():
    sides = [Sequences(np.array(ids, np.int32), np.array([0, len(ids)])) for ids in ([1, 2, 3, 4], [1, 9, 4])]
    alignment = align(*sides, Blocks.from_lists([[(1, 3, 1, 2)]]))
    assert alignment.ops.tolist() == [0, BLOCK, 0]
    assert alignment.ref.tolist() == [0, 1, 3]
    assert alignment.hyp.tolist() == [0, 1, 2]


def make_long_pair(words, seed=2):
    chosen = np.random.default_rng(seed)
    reference = chosen.integers(0, 3000, words).astype(np.int32)
    kept = chosen.random(words)
    hypothesis = np.where(kept < 0.1, chosen.integers(0, 3000, words), reference)[kept < 0.95].astype(np.int32)
    return [Sequences(side, np.array([0, len(side)], np.int64)) for side in (reference, hypothesis)]


def test_a_long_transcript_is_cut_along_a_best_alignment():
    reference, hypothesis = make_long_pair(6000)
    assert find_cuts(reference[0], hypothesis[0])
    owner, references, hypotheses = cut_pairs(reference, hypothesis)
    assert len(owner) > 3
    assert align(references, hypotheses).totals.sum() == align(reference, hypothesis).totals[0]


def test_unrelated_long_transcripts_are_cut_too():
    chosen = np.random.default_rng(3)
    sides = [chosen.integers(low, low + 500, 5000).astype(np.int32) for low in (0, 1000)]
    cuts = find_cuts(*sides)
    places = [(0, 0), *cuts, (5000, 5000)]
    assert all(b[0] - a[0] <= 2000 and b[1] - a[1] <= 2000 for a, b in itertools.pairwise(places))


@pytest.mark.slow
def test_fifty_thousand_words_need_little_memory():
    """A table for them would hold 2.5 billion cells; twice as many words may take twice the memory and some more."""
    peaks = []
    for words in (25_000, 50_000):
        reference, hypothesis = make_long_pair(words)
        tracemalloc.start()
        _, references, hypotheses = cut_pairs(reference, hypothesis)
        errors = align(references, hypotheses).totals.sum()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert 0 < errors < words
    assert peaks[1] < 3 * peaks[0]
    assert peaks[1] < 200 << 20


def test_no_pair_is_cut_that_fits(monkeypatch):
    reference, hypothesis = make_long_pair(300)
    assert cut_pairs(reference, hypothesis)[0].tolist() == [0]
    assert text_pairs.find_cuts(reference[0], hypothesis[0]) == []
