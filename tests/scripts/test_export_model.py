"""scripts/export_model.py as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts/export_model.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_script_exports_and_refuses_to_overwrite(tiny_model, tmp_path: Path):
    pytest.importorskip("onnx", reason="needs the extra `export`")
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    done = run(tmp_path, "model_path=x.nemo", "format=onnx", "output_dir=out")
    assert done.returncode == 0, done.stderr
    assert "out/model.onnx: " in done.stdout
    assert "log-probabilities differ from the model's by at most " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.nemo"]
    again = run(tmp_path, "model_path=x.nemo", "format=huggingface", "output_dir=out")
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("error: output_dir: out is there and not an empty folder")
    assert "Traceback" not in again.stderr
