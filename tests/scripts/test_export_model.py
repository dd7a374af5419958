"""scripts/export_model.py as a user runs it."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from project import ROOT
from warm_python import WarmPython

SCRIPT = ROOT / "scripts/export_model.py"


def test_script_exports_and_refuses_to_overwrite(tiny_model, tmp_path: Path, warm_python: WarmPython):
    pytest.importorskip("onnx", reason="needs the extra `export`")
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    done = warm_python.run(SCRIPT, "model_path=x.nemo", "format=onnx", "output_dir=out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "out/model.onnx: " in done.stdout
    assert "outputs differ from the model's by at most " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.nemo"]
    again = warm_python.run(SCRIPT, "model_path=x.nemo", "format=huggingface", "output_dir=out", folder=tmp_path)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("error: output_dir=out: expected a missing or empty folder")
    assert "Traceback" not in again.stderr


def test_a_report_adds_a_model_card(tiny_model, tmp_path: Path, warm_python: WarmPython):
    layer = {"name": "raw", "wer": 0.2, "errors": 2, "words": 10, "forgiven": 0, "interval": [0.1, 0.3]}
    settings = {"drawn": "utterances", "replicates": 100, "seed": 0}
    report = {
        "test_set": {"utterances": 5, "words": 10},
        "settings": settings,
        "systems": [{"name": "other", "layers": [layer]}],
    }
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    common = (SCRIPT, "model_path=x.nemo", "format=huggingface")
    done = warm_python.run(*common, "output_dir=out", "report=report.json", "verify=false", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    card = ModelCard.load(tmp_path / "out/README.md")
    assert card.data.eval_results[0].metric_value == 20.0
    wrong = warm_python.run(*common, "output_dir=more", "report=missing.json", folder=tmp_path)
    assert wrong.returncode == 1
    assert "error: report=missing.json: no such file" in wrong.stderr
    assert not (tmp_path / "more").exists()
