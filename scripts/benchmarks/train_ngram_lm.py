"""Measure the memory and speed of training a language model from texts of growing size.

    python scripts/benchmarks/train_ngram_lm.py
    python scripts/benchmarks/train_ngram_lm.py --megabytes 100 1000 --memory 1G

The texts are random sentences of the demo's words, with a tenth of the lines repeated, from a seed. The number of their
character n-grams grows more slowly than the text. A separate process trains on each text: it normalises, drops repeated
lines, compares with evaluation sentences, holds out a share, and estimates and converts an order-6 character model.
Printed is the peak memory of that process above that of its imports, of `sort` and of `lmplz`; --memory limits the
memory in which `lmplz` sorts.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN = """
import json, os, resource, sys, threading, time
from pathlib import Path
from nemo.utils import logging
logging.setLevel(logging.ERROR)
from data_prep.text.alphabet import load_alphabet
from nemo_models.language_models.ngram_lm import train_ngram_lm

def read_status(pid):
    return dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))

def peak_mb(pid="self"):  # VmHWM, because ru_maxrss of a process begins with the peak of the one that started it
    return int(read_status(pid)["VmHWM"].split()[0]) / 1024

peaks = {"sort": 0.0, "lmplz": 0.0}

def watch():
    while True:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                status = read_status(pid)
                name = status["Name"].strip()
                if name in peaks and int(status["PPid"]) == os.getpid():
                    peaks[name] = max(peaks[name], peak_mb(pid))
            except (OSError, KeyError):
                pass  # it has ended
        time.sleep(0.1)

text, evaluation, output, memory = sys.argv[1:]
threading.Thread(target=watch, daemon=True).start()
imports_mb, started = peak_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
report = train_ngram_lm([Path(text)], load_alphabet(), Path(output), 6, memory=memory, held_out=0.001,
                        check_against=[Path(evaluation)])
children = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "lines": report.counts.lines, "used": report.counts.used, "ngrams": sum(report.ngrams.values()),
    "seconds": report.seconds, "imports_mb": imports_mb, "own_mb": peak_mb() - imports_mb,
    **{f"{name}_mb": peak for name, peak in peaks.items()},
    "own_cpu_s": resource.getrusage(resource.RUSAGE_SELF).ru_utime - started,
    "children_cpu_s": children.ru_utime + children.ru_stime,
}))
"""
WORDS_A_LINE = (6, 18)
REPEATED = 0.1  # share of lines that are there already


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[5, 25, 125])
    parser.add_argument("--memory", default="200M", help="sorting memory of lmplz")
    arguments = parser.parse_args()
    sentences = (REPOSITORY / "scripts/demo_data/lm.txt").read_text(encoding="utf-8").splitlines()
    words = sorted({word for sentence in sentences for word in sentence.split()})
    print(f"{'text':>8}{'lines':>12}{'n-grams':>10}{'time':>8}{'lines/s':>9}{'own memory':>12}{'sort':>9}{'lmplz':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        row = {"audio_filepath": "a.wav", "duration": 1.0, "text": " ".join(words[:12])}
        (folder / "test.json").write_text(json.dumps(row) + "\n", encoding="utf-8")
        for megabytes in arguments.megabytes:
            write_sample(folder / "text.txt", words, round(megabytes * 1e6))
            got = measure(folder, arguments.memory)
            print(
                f"{megabytes:>5g} MB{got['lines']:>12,}{got['ngrams']:>10,}{got['seconds']:>6.0f} s"
                f"{got['lines'] / got['seconds']:>9,.0f}{got['own_mb']:>9.0f} MB"
                f"{got['sort_mb']:>6.0f} MB{got['lmplz_mb']:>7.0f} MB"
                f"   (CPU: {got['own_cpu_s']:.0f} s, children {got['children_cpu_s']:.0f} s)",
                flush=True,
            )
    print(f"imports take {got['imports_mb']:.0f} MB more; lmplz sorts in {arguments.memory}")


def write_sample(path: Path, words: list[str], size: int) -> None:
    """Write random sentences of `words`, `size` bytes in all."""
    generator, earlier, written = random.Random(0), "", 0
    with path.open("w", encoding="utf-8") as text:
        while written < size:
            if generator.random() > REPEATED or not earlier:
                earlier = " ".join(generator.choices(words, k=generator.randint(*WORDS_A_LINE)))
            written += len(earlier.encode()) + 1
            text.write(earlier + "\n")


def measure(folder: Path, memory: str) -> dict[str, float]:
    """Train on the text in a separate process."""
    command = [
        sys.executable,
        "-c",
        TRAIN,
        *(str(folder / name) for name in ("text.txt", "test.json", "lm.nemo")),
        memory,
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
