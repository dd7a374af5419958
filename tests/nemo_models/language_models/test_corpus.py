"""What becomes of the lines of a text: leaks, held-out lines, repeated lines, several processes."""

import json
import subprocess

import kenlm
import pytest

from data_prep.text.alphabet import load_alphabet
from data_prep.text.policy import TextPolicy
from lm_text import LM_SENTENCES, lm_lines
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.language_models.corpus import HeldOut, LineRules, normalize_lines, prepare_text
from nemo_models.language_models.lm_file import METADATA_KEY
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.language_models.text_counts import describe_counts, suggest_settings
from nemo_models.language_models.word_lm import check_word_lm, read_unigrams

LABELS = load_alphabet()
RULES = LineRules(frozenset(LABELS), num_workers=1)
EVALUATION = ("वह कल अपने गाँव लौट आया", "मेरे पास एक नई किताब है")


@pytest.fixture
def write(tmp_path):
    def write(lines, name="text.txt"):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def evaluation(tmp_path):
    rows = [{"audio_filepath": "a.wav", "duration": 1.0, "text": text} for text in EVALUATION]
    (tmp_path / "test.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path / "test.json"


def leaky_lines():
    """Evaluation sentences: whole (line 2, with other marks), within a line (4), over three lines (6 to 8)."""
    return [
        LM_SENTENCES[0],
        "वह कल, अपने गाँव लौट आया।",
        LM_SENTENCES[1],
        f"माँ ने कहा {EVALUATION[1]} और चुप हो गई",
        LM_SENTENCES[3],
        "फिर वह कल",
        "अपने गाँव",
        "लौट आया और सो गया",
        LM_SENTENCES[5],
    ]


def test_text_with_evaluation_sentences_is_refused_by_line(lmplz, write, evaluation, tmp_path):
    text = write(leaky_lines())
    with pytest.raises(ValueError, match="evaluation sentences in 5 lines of the text") as error:
        train_ngram_lm([text], LABELS, tmp_path / "lm.nemo", order=3, check_against=[evaluation])
    for line in (2, 4, 6, 7, 8):
        assert f"{text}:{line}" in str(error.value)
    assert f"{text}:1," not in str(error.value)
    assert "leaks=drop" in str(error.value)
    assert not list(tmp_path.glob("*.nemo*"))


def test_leaks_are_dropped_and_counted_or_allowed(lmplz, write, evaluation, tmp_path):
    text, options = write(leaky_lines()), {"order": 3, "check_against": [evaluation], "kind": "word"}
    report = train_ngram_lm([text], LABELS, tmp_path / "dropped.arpa", leaks="drop", **options)
    assert (report.counts.leaked, report.counts.used) == (5, 4)
    clean = write([line for at, line in enumerate(leaky_lines(), 1) if at not in (2, 4, 6, 7, 8)], "clean.txt")
    train_ngram_lm([clean], LABELS, tmp_path / "clean.arpa", **options)
    assert (tmp_path / "dropped.arpa").read_bytes() == (tmp_path / "clean.arpa").read_bytes()
    report = train_ngram_lm([text], LABELS, tmp_path / "allowed.arpa", leaks="allow", **options)
    assert (report.counts.leaked, report.counts.used) == (0, 9)
    with pytest.raises(ValueError, match="leaks=keep: expected one of refuse, drop, allow"):
        train_ngram_lm([text], LABELS, tmp_path / "x.arpa", leaks="keep", **options)


def test_one_file_does_not_flow_into_the_next(lmplz, write, evaluation, tmp_path):
    parts = [write([LM_SENTENCES[0], "वह कल अपने"], "a.txt"), write(["गाँव लौट आया", LM_SENTENCES[1]], "b.txt")]
    report = train_ngram_lm(parts, LABELS, tmp_path / "lm.nemo", order=2, check_against=[evaluation])
    assert report.counts.used == 4


def test_a_repeated_line_counts_once(lmplz, write, tmp_path):
    lines = lm_lines()
    report = train_ngram_lm([write(lines * 3)], LABELS, tmp_path / "many.arpa", order=3, kind="word")
    assert (report.counts.lines, report.counts.used, report.counts.duplicates) == (27, 9, 18)
    train_ngram_lm([write(lines, "once.txt")], LABELS, tmp_path / "once.arpa", order=3, kind="word")
    assert (tmp_path / "many.arpa").read_bytes() == (tmp_path / "once.arpa").read_bytes()
    report = train_ngram_lm([write(lines * 3)], LABELS, tmp_path / "all.arpa", order=3, kind="word", deduplicate=False)
    assert (report.counts.used, report.counts.duplicates) == (27, 0)
    assert (tmp_path / "all.arpa").read_bytes() != (tmp_path / "once.arpa").read_bytes()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_is_held_out_the_same_whatever_the_order(write, tmp_path, share):
    lines = [f"{first} {second}" for first in lm_lines()[-1].split() for second in "कखगघचछज"]
    held = []
    for name, text in (("a", lines), ("b", [*lines[::-1], *lines[:50]])):
        part = HeldOut(share, RULES)
        prepared, counts = prepare_text([write(text, f"{name}.txt")], RULES, tmp_path / name, part)
        part.close()
        assert counts.used + counts.held_out == counts.lines
        assert not set(part.lines) & set(prepared.read()), "a repeated line is not on both sides"
        held.append(set(part.lines))
    assert held[0] == held[1]
    assert share / 2 < len(held[0]) / len(set(lines)) < 2 * share


def test_held_out_text_is_measured_on_and_left_out(lmplz, write, tmp_path):
    held = write([LM_SENTENCES[2], "अनजाने लोग आया", "abc"], "held.txt")
    report = train_ngram_lm([write(lm_lines() * 2)], LABELS, tmp_path / "lm.nemo", order=3, held_out=held)
    assert (report.counts.held_out, report.counts.used) == (2, 8)
    assert (report.held_out.sentences, report.held_out.words) == (2, 9)
    # of "वह कल अपने गाँव लौट आया", only "कल" stands elsewhere in the text; all the others are unknown now
    assert report.held_out.unknown_words == 8
    written = json.loads((tmp_path / "lm.nemo.json").read_text(encoding="utf-8"))
    assert written["held_out"]["oov_rate"] == pytest.approx(8 / 9)
    assert written["held_out"]["perplexity_per_character"] == report.held_out.perplexity_per_character > 1
    assert written["ngrams"] == {str(order): count for order, count in report.ngrams.items()}
    assert written["text"]["held_out"] == 2 and written["normalizer_fingerprint"]


@pytest.mark.parametrize(
    ("held_out", "named"),
    [
        (0, "held_out=0: expected a text, or a share"),
        (1.5, "held_out=1.5: expected"),
        (True, "held_out=True: expected"),
        (1e-9, "expected a share that some line belongs to"),
    ],
)
def test_impossible_shares_are_named(lmplz, write, tmp_path, held_out, named):
    with pytest.raises(ValueError, match=named):
        train_ngram_lm([write(lm_lines())], LABELS, tmp_path / "lm.nemo", order=3, held_out=held_out)


@pytest.mark.slow
def test_lines_do_not_depend_on_the_processes(write, tmp_path, monkeypatch):
    monkeypatch.setattr("nemo_models.language_models.corpus._MIN_POOL_BYTES", 0)
    texts = [write([f"{line} {'क' * at}" for at, line in enumerate(lm_lines() * 230)]), write(["abc", ""], "b.txt")]
    results = []
    for workers in (1, 3):
        chunks = list(normalize_lines(texts, LineRules(RULES.labels, num_workers=workers)))
        results.append([(path, lines, vars(counts)) for path, lines, counts in chunks])
    assert results[0] == results[1]
    assert len(results[0]) > 2, "more than one chunk of a text"
    assert results[0][0][1][1][0] == 2 and results[0][1][1][0][0] == 2001, "numbers of lines count on"


def test_an_unfit_line_gives_its_fit_sentences(write, tmp_path):
    lines = [
        "वह घर गया। वहाँ 5 लोग थे। वे डॉ. राम के मित्र थे। सब खुश थे",
        "[हँसी] हाँ। ठीक है!",
        "बंसीे आया।",
        "सब ठीक है। कुछ नहीं हुआ।",
    ]
    (_, taken, counts), *rest = normalize_lines([write(lines)], RULES)
    assert not rest and taken == [
        (1, "वह घर गया"),
        (1, "वे डॉक्टर राम के मित्र थे"),
        (1, "सब खुश थे"),
        (2, "ठीक है"),
        (4, "सब ठीक है कुछ नहीं हुआ"),
    ]
    assert (counts.lines, counts.left_out, counts.words, counts.words_left_out) == (8, 3, 28, 8)
    assert counts.reasons == {"numbers": 1, "annotation": 1, "malformed_text": 1}
    counts.used = 5
    assert "28.6% of the words left out; by reason: numbers 1, annotation 1, malformed_text 1" in describe_counts(
        counts
    )
    assert [text.partition(":")[0] for text in suggest_settings(counts, RULES.policy)] == [
        "1 lines left out for numbers",
        "1 lines left out for annotation",
    ]
    settled = TextPolicy(annotations="strip")
    (_, taken, counts), *_ = normalize_lines([write(lines)], LineRules(frozenset(LABELS), settled, 1))
    assert (2, "हाँ ठीक है") in taken and len(suggest_settings(counts, settled)) == 1


def test_evaluation_sentences_with_notes_are_found(lmplz, write, tmp_path):
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": f"[हँसी] {EVALUATION[0]}"}
    (tmp_path / "noted.json").write_text(json.dumps(row) + "\n", encoding="utf-8")
    text = write([LM_SENTENCES[0], EVALUATION[0]])
    with pytest.raises(ValueError, match="evaluation sentences in 1 lines of the text"):
        train_ngram_lm([text], LABELS, tmp_path / "lm.nemo", order=2, check_against=[tmp_path / "noted.json"])


def test_in_domain_text_is_mixed_by_what_the_held_out_text_says(lmplz, write, tmp_path):
    general = write(
        [f"{word} {other}" for word in ["कब", "जब", "तब", "अब", "सब"] for other in lm_lines()[-1].split()], "g.txt"
    )
    domain, held = write(LM_SENTENCES[:5], "d.txt"), write(LM_SENTENCES[5:], "h.txt")
    options = {"order": 3, "held_out": held}
    report = train_ngram_lm([general], LABELS, tmp_path / "mix.nemo", in_domain=[domain], **options)
    weights = {part.name: part.weight for part in report.components}
    assert sum(weights.values()) == pytest.approx(1.0) and weights["in_domain"] > 0.5
    alone = {part.name: part.held_out.perplexity_per_character for part in report.components}
    poured = train_ngram_lm([general, domain], LABELS, tmp_path / "poured.nemo", **options).held_out
    assert report.held_out.perplexity_per_character < min(alone.values())
    assert report.held_out.perplexity_per_character < poured.perplexity_per_character
    assert report.counts.used == 5 + 5 * 64
    assert read_nemo_config(tmp_path / "mix.nemo")[METADATA_KEY]["weights"] == pytest.approx(
        (weights["in_domain"], weights["text"]), abs=1e-6
    )
    with pytest.raises(ValueError, match="give held_out="):
        train_ngram_lm([general], LABELS, tmp_path / "x.nemo", order=3, in_domain=[domain])


def test_word_model_is_an_arpa_that_kenlm_reads_with_its_words_and_origin(lmplz, write, tmp_path):
    options = {"order": 3, "kind": "word", "in_domain": [write(LM_SENTENCES[:4], "d.txt")]}
    held = write(["कल सुबह हम गाँव जाएँगे", "नई किताब में तारे"], "h.txt")
    path = tmp_path / "words.arpa"
    report = train_ngram_lm([write(lm_lines())], LABELS, path, held_out=held, **options)
    expected = sorted({word for line in lm_lines() for word in line.split()})
    assert sorted(read_unigrams(path)) == expected
    origin = json.loads((tmp_path / "words.arpa.json").read_text(encoding="utf-8"))
    assert (origin["kind"], origin["order"]) == ("word", 3)
    assert sorted(check_word_lm(path, LABELS, origin["normalizer_fingerprint"])) == expected
    reader = kenlm.Model(str(path))
    assert reader.order == 3 and "किताब" in reader and "अनजाना" not in reader
    # kenlm's own perplexity, in base 10 over words and ends; no word of the held-out text is unknown
    total = sum(reader.score(line) for line in held.read_text(encoding="utf-8").splitlines())
    assert report.held_out.perplexity_per_word == pytest.approx(10 ** (-total / (9 + 2)), rel=1e-4)
    assert report.held_out.unknown_words == 0


def test_unfit_word_models_are_one_line(lmplz, write, hindi_lm, tmp_path):
    train_ngram_lm([write(lm_lines())], LABELS, tmp_path / "words.arpa", order=2, kind="word")
    whole = (tmp_path / "words.arpa").read_bytes()
    tokens = "\n".join(" ".join(chr(LABELS.index(c) + 100) for c in line) for line in lm_lines())
    arpa = tmp_path / "tokens.arpa"
    command = [lmplz, "-o", "2", "--discount_fallback", "-S", "100M"]
    arpa.write_bytes(subprocess.run(command, input=tokens.encode(), capture_output=True, check=True).stdout)
    for name, content in {
        "binary.arpa": b"mmap lm http://kheafield.com/code format version 5",
        "empty.arpa": b"",
        "cut.arpa": whole[: len(whole) // 4],
        "text.arpa": "कल सुबह".encode(),
        "gzip.arpa": b"\x1f\x8b\x08",
    }.items():
        (tmp_path / name).write_bytes(content)
    cases = {
        "binary.arpa": "a KenLM binary without its words",
        "empty.arpa": "an empty file",
        "cut.arpa": "found an incomplete ARPA language model",
        "text.arpa": "found an incomplete ARPA language model",
        "gzip.arpa": "found an incomplete gzip file",
        "tokens.arpa": "over characters or tokens",
        hindi_lm: r"a \.nemo file",
        "absent.arpa": "no such word language model",
    }
    for name, message in cases.items():
        with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
            check_word_lm(tmp_path / name, LABELS, "hi-1")
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="expected hi-0, the model's"):
        check_word_lm(tmp_path / "words.arpa", LABELS, "hi-0")
    (tmp_path / "words.arpa.json").unlink()
    with pytest.raises(ValueError, match=r"that the model cannot write \(U\+0915 DEVANAGARI LETTER KA"):
        check_word_lm(tmp_path / "words.arpa", [label for label in LABELS if label not in "का"], "hi-0")
    few_foreign = [label for label in LABELS if label != "क"]  # fewer than a tenth of the words
    assert check_word_lm(tmp_path / "words.arpa", few_foreign, "hi-0") == read_unigrams(tmp_path / "words.arpa")
