"""Time and memory of the checks before training, beside a plain loop over the rows.

    python scripts/benchmarks/check_training.py                  100,000 rows
    python scripts/benchmarks/check_training.py --rows 500000

The rows name the same thousand short files of noise repeatedly, each with a different text. The validation manifest has
a hundredth as many rows. Two ways are measured in turn, each in its own process. `plain` is a script of a dozen lines:
`json.loads` and `soundfile.info` of every row, which only finds missing and unreadable files. `check` is
`check_data_sets` with all its checks. Memory is the growth of the process's peak during the work. Files are in the file
system's cache. On a network file system both also wait for it: the check in many threads, the plain loop in one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = 1000
SECONDS = 1.0
VALIDATION_SHARE = 100  # training rows for each validation row
WORDS = ("कमल", "नदी", "पानी", "मौसम", "बच्चे", "गाँव", "आज", "कल")
PLAIN = """
def work(train, valid):
    for path in (valid, train):
        for line in open(path, encoding="utf-8"):
            assert soundfile.info(json.loads(line)["audio_filepath"]).samplerate == 16000
"""
CHECK = """
from omegaconf import OmegaConf
from data_prep.text.alphabet import load_alphabet
from nemo_models.training.preflight import check_data_sets
recipe = OmegaConf.load("conf/encoder/xlsr_53.yaml")
def work(train, valid):
    model = OmegaConf.create({"encoder": recipe.model.encoder, "train_ds": {"manifest_filepath": train},
                              "validation_ds": {"manifest_filepath": valid}})
    assert check_data_sets(model, load_alphabet()) == []
"""
TIMED = """
import json, resource, sys, time
import soundfile
{work}
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
before, start, cpu = peak(), time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
work(*sys.argv[1:])
print(time.perf_counter() - start, sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu, peak() - before)
"""


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train = write_manifest(Path(folder) / "train", arguments.rows)
        valid = write_manifest(Path(folder) / "valid", max(1, arguments.rows // VALIDATION_SHARE))
        measured = {name: measure(work, train, valid) for name, work in (("plain", PLAIN), ("check", CHECK))}
    print(f"{arguments.rows} rows")
    for name, (seconds, cpu, memory) in measured.items():
        print(f"{name:<8}{seconds:8.1f} s {cpu:8.1f} s of CPU {memory:8.0f} MB")
    print(f"check takes {measured['check'][1] / measured['plain'][1]:.2f} x the CPU time of plain")


def write_manifest(folder: Path, rows: int) -> Path:
    """Write files of noise and a manifest that names them, with a text in each row."""
    folder.mkdir()
    draw = np.random.default_rng(rows)
    for number in range(min(FILES, rows)):
        soundfile.write(folder / f"{number}.wav", draw.normal(scale=0.1, size=round(16000 * SECONDS)), 16000)
    with (folder / "manifest.json").open("w", encoding="utf-8") as manifest:
        for row in range(rows):
            text = " ".join(draw.choice(WORDS, size=6))
            path = str(folder / f"{row % FILES}.wav")
            manifest.write(json.dumps({"audio_filepath": path, "duration": SECONDS, "text": text}) + "\n")
    return folder / "manifest.json"


def measure(work: str, train: Path, valid: Path) -> tuple[float, float, float]:
    """Run `work` in a new process; return seconds, CPU seconds, and the growth of peak memory in MB."""
    command = [sys.executable, "-c", TIMED.format(work=work), str(train), str(valid)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    seconds, cpu, memory = map(float, done.stdout.split()[-3:])
    return seconds, cpu, memory


if __name__ == "__main__":
    main()
