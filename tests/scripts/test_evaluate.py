"""scripts/evaluate.py, run as a user runs it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import evaluate
from project import ROOT

WORDS = ["आज", "मौसम", "बहुत", "अच्छा", "है", "मुझे", "थोड़ा", "पानी", "दीजिए"]


SCRIPT = ROOT / "scripts/evaluate.py"


@pytest.fixture
def run(warm_python):
    """Run the script in a process that has its libraries already."""

    def run(*arguments):
        return warm_python.run(SCRIPT, *arguments, folder=ROOT)

    return run


@pytest.fixture
def systems(tmp_path):
    """A good system and one that leaves out the last word of every utterance, ten speakers."""
    for name, kept in (("base", 9), ("worse", 8)):
        rows = [
            {
                "audio_filepath": f"{number}.wav",
                "duration": 3.0,
                "speaker": f"s{number % 10}",
                "text": " ".join(WORDS),
                "pred_text": " ".join(WORDS[:kept]),
            }
            for number in range(60)
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_report_and_summary(systems, run):
    done = run(f"predictions=[{systems}/base.jsonl,{systems}/worse.jsonl]", f"output_dir={systems}/report")
    assert done.returncode == 0, done.stderr
    assert "base is better than worse by 11.11 points, and the difference is real" in done.stdout
    report = json.loads((systems / "report/report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [system["name"] for system in report["systems"]] == ["base", "worse"]
    assert next(layer["name"] for layer in report["systems"][1]["layers"]) == "raw"
    assert report["systems"][1]["layers"][0]["errors"] == 60
    assert report["comparisons"][0]["difference"] == pytest.approx(1 / 9)
    assert report["test_set"]["hours"] == pytest.approx(60 * 3 / 3600)
    assert "<html" in (systems / "report/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("order", "status"), [("base,worse", 1), ("worse,base", 0), ("base,base", 0)])
def test_the_gate_fails_only_for_a_worse_system(systems, run, order, status):
    paths = ",".join(f"{systems}/{name}.jsonl" for name in order.split(","))
    done = run(f"predictions=[{paths}]", f"output_dir={systems}/report", "gate=0.2", "html=false", "replicates=500")
    assert done.returncode == status, done.stderr
    assert ("error: gate=0.2: base is better than worse" in done.stderr) == bool(status)


def test_tolerance(systems, run):
    shared = (f"predictions={systems}/worse.jsonl", f"output_dir={systems}/report", "html=false", "replicates=100")
    assert run(*shared, "tolerance=0.2").returncode == 0
    broken = run(*shared, "tolerance=0.1")
    assert broken.returncode == 1
    assert "tolerance=0.1: worse has a WER of 0.1111" in broken.stderr


@pytest.mark.parametrize(
    "argument", ["tolerance=abc", "gate=-1", "html_utterances=x", "layers=[sandhi]", "replicates=1", "names=[a,b]"]
)
def test_a_wrong_argument_is_one_line_before_anything_is_done(systems, run, argument):
    done = run(f"predictions={systems}/base.jsonl", f"output_dir={systems}/report", argument)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"error: {argument.split('=')[0]}=")
    assert not (systems / "report").exists()


def test_a_missing_row_is_one_line(systems, run):
    lines = (systems / "worse.jsonl").read_text(encoding="utf-8").splitlines()
    (systems / "worse.jsonl").write_text("\n".join(lines[1:]), encoding="utf-8")
    done = run(f"predictions=[{systems}/base.jsonl,{systems}/worse.jsonl]", f"output_dir={systems}/report")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "worse.jsonl: 1 of 60 utterances are missing: 0.wav at 0 s" in done.stderr
    assert not (systems / "report").exists()


@pytest.mark.slow
def test_a_model_transcribes_the_test_set_first(tiny_model, run, tmp_path):
    rows = []
    for number in range(3):
        sound = np.random.default_rng(number).normal(scale=0.1, size=16000)
        soundfile.write(tmp_path / f"{number}.wav", sound, 16000)
        rows.append({"audio_filepath": f"{number}.wav", "duration": 1.0, "text": "कल"})
    manifest = tmp_path / "test.json"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tiny_model.save_to(str(tmp_path / "tiny.nemo"))
    shared = (f"model_path={tmp_path}/tiny.nemo", f"output_dir={tmp_path}/report")
    settings = (f"dataset_manifest={manifest}", "replicates=100", "transcription.batch_size=2")
    done = run(*shared, *settings)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert report["systems"][0]["name"] == "tiny"
    assert report["test_set"]["utterances"] == 3
    assert (tmp_path / "report/tiny.jsonl").is_file()
    without_manifest = run(*shared)
    assert without_manifest.returncode == 1
    assert "error: dataset_manifest=null: expected a manifest for model_path" in without_manifest.stderr


def test_arguments_of_transcription_reach_the_transcription(monkeypatch, tmp_path):
    commands = []
    monkeypatch.setattr(
        evaluate.subprocess, "run", lambda command, **_: commands.append(command) or SimpleNamespace(returncode=0)
    )
    settings = {"batch_size": 8, "ctc_decoding": {"beam": {"ngram_lm_model": 'a "b".nemo'}}, "calculate_wer": True}
    (output,) = evaluate.transcribe_models([Path("m.nemo")], Path("test.json"), tmp_path, settings)
    assert output == tmp_path / "m.jsonl"
    assert commands[0][2:] == [
        *("batch_size=8", r'ctc_decoding.beam.ngram_lm_model="a \"b\".nemo"', "calculate_wer=false"),
        *('model_path="m.nemo"', 'dataset_manifest="test.json"', f'output_filename="{output}"'),
    ]


def write_mixed(folder, langs=("hi", "ta")):
    texts = {"hi": ("आज मौसम अच्छा", "आज मौसम"), "ta": ("நல்ல காலை", "நல்ல காலை"), "mr": ("कमळ", "कमळ")}
    rows = [
        {"audio_filepath": f"{code}{at}.wav", "text": texts[code][0], "pred_text": texts[code][1]}
        | ({} if code == "hi" else {"lang": code})
        for code in langs
        for at in range(6)
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "mixed.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "mixed.jsonl"


def test_rows_of_several_languages_get_a_report_each(run, tmp_path):
    predictions = write_mixed(tmp_path)
    for language in ([], ["language='hi,ta'"]):
        done = run(f"predictions={predictions}", f"output_dir={tmp_path}/report", "replicates=100", *language)
        assert done.returncode == 0, done.stderr
        assert "language hi: 6 utterances" in done.stdout and "language ta: 6 utterances" in done.stdout
        hindi, tamil = (
            json.loads((tmp_path / f"report/{code}/report.json").read_text("utf-8")) for code in ("hi", "ta")
        )
        assert [layer["name"] for layer in tamil["systems"][0]["layers"]] == ["raw", "encoding", "spelling"]
        assert hindi["systems"][0]["layers"][0]["errors"] == 6 and tamil["systems"][0]["layers"][0]["errors"] == 0
        assert "Tamil" in (tmp_path / "report/ta/report.html").read_text("utf-8")
    done = run(f"predictions={predictions}", f"output_dir={tmp_path}/one", "language=hi")
    assert done.returncode == 1
    assert "mixed.jsonl:7: found lang ta, expected hi with language=hi; correct it, remove the row, or" in done.stderr


def test_a_text_in_another_script_than_its_lang_is_told(run, tmp_path):
    predictions = write_mixed(tmp_path, ["ta"])
    predictions.write_text(predictions.read_text("utf-8").replace('"ta"', '"bn"'), encoding="utf-8")
    done = run(f"predictions={predictions}", f"output_dir={tmp_path}/report", "replicates=100", "html=false")
    assert "language=bn: expected texts in Bengali, found Tamil in 6 of 6; set language=ta" in done.stdout


def test_one_language_that_the_rows_name_is_scored_by_its_rules(run, tmp_path):
    predictions = write_mixed(tmp_path, ["ta"])
    done = run(f"predictions={predictions}", f"output_dir={tmp_path}/report", "replicates=100", "html=false")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "report/report.json").read_text("utf-8"))["settings"]["language"] == "ta"
