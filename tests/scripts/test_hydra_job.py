"""scripts/hydra_job.py: what every job does around its own work."""

import os
import subprocess
import sys

import pytest

from project import ROOT

INTERRUPTED_JOB = """
from hydra_job import hydra_job

@hydra_job("find_leaks"{options})
def main(cfg):
    raise KeyboardInterrupt

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("", "interrupted; run the same command again to continue with what is not done yet"),
        (", after_interrupt='nothing was written'", "interrupted; nothing was written"),
    ],
    ids=["default", "own"],
)
def test_ctrl_c_gives_one_line_and_status_130(tmp_path, options: str, line: str):
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED_JOB.format(options=options), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, str(script), "training=a.txt", "evaluation=b.txt"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.splitlines() == [line]


def test_importing_a_script_does_not_start_its_job():
    code = (
        "import pathlib, runpy, sys; sys.path.insert(0, 'scripts')\n"
        "for path in pathlib.Path('scripts').glob('*.py'): runpy.run_path(str(path), run_name='imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


RENAMING_JOB = """
from hydra_job import hydra_job

@hydra_job("find_leaks", renamed={"learned": "training"})
def main(cfg):
    print(cfg.training, "learned" in cfg)

if __name__ == "__main__":
    main()
"""


def test_the_old_name_of_an_argument_still_works_with_a_note(tmp_path):
    (tmp_path / "job.py").write_text(RENAMING_JOB, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(
        "defaults: [find_leaks, _self_]\nlearned: b.txt\nevaluation: c.txt\n", encoding="utf-8"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    for arguments, value in (
        (["learned=a.txt", "evaluation=b.txt"], "a.txt"),
        (["--config-dir", ".", "--config-name", "mine"], "b.txt"),  # the user's own configuration file
    ):
        command = [sys.executable, "job.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{value} False\n"), done.stderr
        assert done.stderr.splitlines() == ["note: learned is now named training; the old name still works"]


def test_help_prints_every_file_that_a_recipe_is_composed_of():
    command = [sys.executable, "scripts/speech_to_text_finetune.py", "--help", "--config-name", "xlsr_tiny_hi"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    titles = [line for line in done.stdout.splitlines() if line.startswith("# ----")]
    names = ("finetune", "encoder/xlsr_53", "xlsr_hi", "xlsr_tiny_hi")
    assert titles == [f"# ---- conf/{name}.yaml ----" for name in names]
    for key in ("init_from_checkpoint: ???", "mask_time_prob: 0.5", "max_steps: 240"):
        assert key in done.stdout
