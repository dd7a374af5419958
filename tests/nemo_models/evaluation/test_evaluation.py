"""The whole evaluation: report, breakdowns, confidence, n-best lists, audio, and what it loads."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from nemo_models.evaluation.audio_evidence import measure_evidence
from nemo_models.evaluation.breakdowns import read_vocabulary
from nemo_models.evaluation.evaluation import check_gate, evaluate
from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.options import EvaluationOptions, LayerOptions
from nemo_models.evaluation.report import format_summary
from nemo_models.evaluation.scoring import score_texts
from odd_audio import encode
from project import ROOT

REFERENCE = "यह ज़मीन और रेल गाड़ी है"


def make_row(number, hypothesis=REFERENCE, **more):
    words = hypothesis.split()
    timed = [
        {"word": word, "start": at * 0.5, "end": at * 0.5 + 0.4, "confidence": 0.9 if word in REFERENCE else 0.3}
        for at, word in enumerate(words)
    ]
    return {
        "audio_filepath": f"{number}.wav",
        "duration": 3.5,
        "speaker": f"s{number % 8}",
        "text": REFERENCE,
        "pred_text": hypothesis,
        "words": timed,
        **more,
    }


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path):
    good = [make_row(n, "यह जमीन और रेलगाड़ी है", snr_db=5.0 * (n % 8)) for n in range(40)]
    bad = [make_row(n, "यह जमीन और कल है है" if n % 2 else REFERENCE) for n in range(40)]
    return write(tmp_path / "good.jsonl", good), write(tmp_path / "bad.jsonl", bad)


def run(paths, **options):
    return evaluate(load_test_set(paths), EvaluationOptions(replicates=500, read_audio=False, **options))


def test_report(files):
    report = run(files).report
    json.dumps(report)
    good, bad = report["systems"]
    assert [layer["name"] for layer in good["layers"]] == [
        "raw",
        "encoding",
        "spelling",
        "numbers",
        "loan_words",
        "compounds",
    ]
    assert [layer["errors"] for layer in good["layers"]] == [120, 120, 80, 80, 80, 0]
    assert {layer["words"] for layer in good["layers"]} == {240}
    assert [layer["forgiven"] for layer in good["layers"]] == [0, 0, 40, 0, 0, 80]
    assert good["layers"][0]["wer"] == good["wer"] == 0.5
    assert good["interval"] == good["layers"][0]["interval"]
    assert good["layers"][2]["forgiven_pairs"] == [["ज़मीन", "जमीन", 40]]
    assert [rule["forgiven"] for rule in good["layers"][2]["rules"]] == [40, 0, 0, 0, 0, 0]
    assert good["layers"][-1]["forgiven_pairs"] == [["रेल गाड़ी", "रेलगाड़ी", 40]]
    assert bad["raw"] == {"substitutions": 60, "deletions": 0, "insertions": 0}
    (comparison,) = report["comparisons"]
    assert comparison["difference"] == pytest.approx(bad["layers"][-1]["wer"])
    assert comparison["interval"][0] > 0
    assert comparison["p_value"] < 0.05
    assert comparison["probability_of_improvement"] < 0.01


def test_equal_inputs_give_equal_reports(files):
    assert run(files).report == run(files).report


def test_the_report_holds_what_other_commands_print(files):
    report = run(files).report
    rows = [json.loads(line) for line in files[1].read_text(encoding="utf-8").splitlines()]
    scores = score_texts([row["text"] for row in rows], [row["pred_text"] for row in rows])
    assert report["systems"][1]["normalized"]["wer"] == scores.wer
    assert report["systems"][1]["cer"] == scores.cer


def test_breakdowns(files):
    analysis = run(files).report["systems"][0]["analysis"]
    assert {"speaker", "snr_db"} <= set(analysis["breakdowns"])
    assert [row["value"] for row in analysis["breakdowns"]["snr_db"]] == [
        "0 to 10", "10 to 20", "20 to 30", "30 to 40",
    ]  # fmt: skip
    assert sum(row["words"] for row in analysis["breakdowns"]["speaker"]) == 240


def test_confidence(files):
    measured = run(files).report["systems"][1]["analysis"]["confidence"]
    assert measured["words"] == 20 * 6 + 20 * 6
    assert measured["auc"] > 0.5
    assert run(files).report["systems"][1]["analysis"]["insertions_at_silence"] is None


def test_words_that_a_language_model_does_not_know(files, tmp_path):
    lm = tmp_path / "lm.arpa"
    lm.write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-1\tयह\t0\n-1\tहै\n-1\tऔर\n\n\\end\\\n", encoding="utf-8")
    unknown = run(files, lm_words=lm).report["systems"][1]["analysis"]["unknown_words"]
    assert (unknown["known"]["words"], unknown["unknown"]["words"]) == (120, 120)
    assert unknown["unknown"]["share"] > unknown["known"]["share"]
    text = tmp_path / "lm.txt"
    text.write_text("यह है।\nऔर", encoding="utf-8")
    assert read_vocabulary(text) == {"यह", "है", "और"} == read_vocabulary(lm)
    lm.write_text("\\data\\\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"lm.arpa: found no .1-grams"):
        read_vocabulary(lm)


def test_what_would_mend_the_errors(tmp_path):
    rows = []
    for number in range(10):
        row = make_row(number, "वह जमीन और रेल गाड़ी है")
        row["beams"] = [
            ["वह जमीन और रेल गाड़ी है", 0.0],
            ["यह ज़मीन और कल गाड़ी है", -1.0],
            [REFERENCE if number else "वह", -2.0],
        ]
        rows.append(row)
    nbest = run([write(tmp_path / "a.jsonl", rows)]).report["systems"][0]["analysis"]["nbest"]
    assert nbest["errors"] == nbest["language_model"] + nbest["longer_beam"] + nbest["model"] == 10
    assert nbest["model"] == 1
    assert [one["n"] for one in nbest["oracle"]] == [1, 2, 3]
    assert nbest["oracle"][-1]["wer"] == pytest.approx(1 / 60)


def test_insertions_at_silences_and_noise(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(6):
        sound = generator.normal(scale=0.1, size=16000 * 4)
        sound[16000 * 3 :] *= 1e-4
        soundfile.write(tmp_path / f"{number}.wav", sound, 16000)
    rows = [make_row(n, REFERENCE + " तो", duration=4.0) for n in range(6)]
    rows[0] = make_row(0, "तो " + REFERENCE, duration=4.0)
    test_set = load_test_set([write(tmp_path / "a.jsonl", rows)])
    analysis = evaluate(test_set, EvaluationOptions(replicates=100)).report["systems"][0]["analysis"]
    assert analysis["insertions_at_silence"] == {"silent": 5, "placed": 6}
    assert analysis["breakdowns"].get("snr_db") is None  # all recordings are alike: one row would say nothing


@pytest.mark.parametrize(
    ("name", "container", "codec"), [("a.m4a", "ipod", "aac"), ("mp3 inside.wav", "wav", "libmp3lame")]
)
def test_audio_that_libsndfile_does_not_read_is_measured(tmp_path, name, container, codec):
    """The last second is 60 dB quieter; codecs change noise, so that the estimate is lower."""
    sound = np.random.default_rng(0).normal(scale=0.1, size=(16000 * 4, 1)).astype("float32")
    sound[16000 * 3 :] *= 1e-3
    (tmp_path / name).write_bytes(encode(sound, 16000, container, codec))
    test_set = load_test_set([write(tmp_path / "a.jsonl", [make_row(0, REFERENCE, audio_filepath=name, duration=4.0)])])
    evidence = measure_evidence(test_set.utterances, [], [], tmp_path)
    assert evidence.unread == [] and evidence.snr_db[0] is not None and evidence.snr_db[0] > 30


def test_several_systems_are_corrected(files, tmp_path):
    third = write(
        tmp_path / "third.jsonl", [make_row(n, "यह जमीन और रेल गाड़ी" if n % 3 else REFERENCE) for n in range(40)]
    )
    comparisons = run([*files, third]).comparisons
    assert [(one.a, one.b) for one in comparisons] == [("good", "bad"), ("good", "third"), ("bad", "third")]
    assert all(one.p_value >= one.p_value_uncorrected for one in comparisons)
    assert all(one.mapsswe_p_value >= one.mapsswe.p_value for one in comparisons)


def test_the_gate(files):
    comparisons = run(files).comparisons
    assert check_gate(comparisons, 0.2) == comparisons
    assert check_gate(comparisons, 99.0) == []
    with pytest.raises(ValueError, match=r"gate=0.2: expected two systems or more"):
        check_gate([], 0.2)
    with pytest.raises(ValueError, match=r"gate=-1: expected a number, 0 or more"):
        check_gate(comparisons, -1)


def test_a_layer_that_is_not_computed_cannot_be_compared(files):
    with pytest.raises(ValueError, match=r"compare_layer=compounds: expected a layer that is computed, one of raw"):
        run(files, compare_layer="compounds", layers=LayerOptions(("spelling",)))
    assert run(files, compare_layer="raw").comparisons[0].layer == "raw"


def test_the_summary_is_readable(files):
    summary = format_summary(run(files).report)
    assert "40 utterances, 240 words, 0.04 h, 8 speakers" in summary
    assert "spelling" in summary
    assert "ज़मीन=जमीन 40" in summary
    assert "good is better than bad by" in summary


def test_intervals_without_speakers_come_with_a_warning(tmp_path):
    rows = [{key: value for key, value in make_row(n).items() if key != "speaker"} for n in range(5)]
    report = run([write(tmp_path / "a.jsonl", rows)]).report
    assert report["settings"]["drawn"] == "utterances"
    assert any("intervals are over utterances" in warning for warning in report["test_set"]["warnings"])


def test_texts_that_say_less_than_they_seem_are_noted(tmp_path):
    rows = [make_row(0, ""), make_row(1, "यह २५ है"), make_row(2, "यह OK है"), make_row(3)]
    warnings = run([write(tmp_path / "a.jsonl", rows)]).report["test_set"]["warnings"]
    assert "a: 1 hypotheses are empty: all their words count as deleted (0.wav)" in warnings
    assert "a: 1 utterances have digits on one side only: compare the layer numbers (1.wav)" in warnings
    assert any(line.startswith("a: 1 utterances have Latin letters on one side only") for line in warnings)


def test_one_utterance_is_enough(tmp_path):
    report = run([write(tmp_path / "a.jsonl", [make_row(0)]), write(tmp_path / "b.jsonl", [make_row(0, "यह")])]).report
    assert report["comparisons"][0]["difference"] == pytest.approx(5 / 6)
    json.dumps(report, allow_nan=False)


@pytest.mark.slow
def test_scoring_files_needs_neither_torch_nor_nemo():
    code = (
        "import pkgutil, importlib, sys, nemo_models.evaluation as room\n"
        "for module in pkgutil.walk_packages(room.__path__, 'nemo_models.evaluation.'):\n"
        "    importlib.import_module(module.name)\n"
        "from nemo_models.evaluation.scoring import score_texts; score_texts(['क ख'], ['क'])\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert not {"torch", "nemo", "lightning", "transformers"} & set(loaded)
