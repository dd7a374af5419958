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
