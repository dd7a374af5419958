"""`python -m nemo_models SCRIPT.py`: a script that does not know this project restores its models."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

SCRIPT = '''
"""As NeMo's transcribe_speech.py: a configuration class, `hydra_runner`, a module in the same folder."""
from dataclasses import dataclass

import torch
from module_beside import print_text
from nemo.collections.asr.models import ASRModel
from nemo.core.config import hydra_runner

@dataclass
class TranscriptionConfig:
    model_path: str = ""
    audio: str = ""

@hydra_runner(config_name="TranscriptionConfig", schema=TranscriptionConfig)
def main(cfg: TranscriptionConfig):
    model = ASRModel.restore_from(cfg.model_path, map_location="cpu")
    print_text(model.transcribe([cfg.audio], verbose=False)[0].text)

if __name__ == "__main__":
    main()
'''


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_nemo_script_restores_and_transcribes_with_this_projects_model(tiny_model, tmp_path: Path):
    (tmp_path / "nemo scripts").mkdir()
    (tmp_path / "nemo scripts/transcribe.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "nemo scripts/module_beside.py").write_text("def print_text(text): print('text:', text)\n")
    tiny_model.save_to(str(tmp_path / "x.nemo"))
    noise = np.random.default_rng(0).normal(scale=0.1, size=16000)
    soundfile.write(tmp_path / "a.wav", noise, 16000)
    done = run(tmp_path, "-m", "nemo_models", "nemo scripts/transcribe.py", "model_path=x.nemo", "audio=a.wav")
    assert done.returncode == 0, done.stderr[-3000:]
    text = tiny_model.transcribe([str(tmp_path / "a.wav")], verbose=False)[0].text
    assert text and f"text: {text}" in done.stdout.splitlines()
    assert "OneLogger" not in done.stderr and "No exporters" not in done.stderr  # noise of NeMo's telemetry client


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        ((), 2, "usage: python -m nemo_models PATH/TO/SCRIPT.py"),
        (("--help",), 0, "usage: python -m nemo_models PATH/TO/SCRIPT.py"),
        (("nothing.py",), 1, "error: nothing.py: no such file; usage: "),
    ],
    ids=["empty", "help", "missing"],
)
def test_usage_and_missing_script_are_one_line(tmp_path: Path, arguments: tuple[str, ...], status: int, line: str):
    done = run(tmp_path, "-m", "nemo_models", *arguments)
    assert done.returncode == status
    output = done.stdout + done.stderr
    assert output.startswith(line) and output.count("\n") == 1


def test_exit_status_and_arguments_of_the_script_are_its_own(tmp_path: Path):
    (tmp_path / "script.py").write_text("import sys\nprint(sys.argv, __name__)\nsys.exit(7)\n", encoding="utf-8")
    done = run(tmp_path, "-m", "nemo_models", "script.py", "a=1", "--help")
    assert (done.returncode, done.stdout) == (7, "['script.py', 'a=1', '--help'] __main__\n")
