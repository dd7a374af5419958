"""Measure audio preparation: against one sox process a file, against bare decoding and resampling, and its memory.

    python scripts/benchmarks/prepare_audio.py                  speed, with 1,000 utterances of 4 s
    python scripts/benchmarks/prepare_audio.py --memory         peak memory with 1,000, 10,000 and 100,000 utterances

Speed: the same files (MP3 at 32 kHz as in Common Voice, stereo WAV at 44.1 kHz, telephone WAV at 8 kHz, mono WAV at 48
kHz; noise that rises and falls, seeded) are prepared in three ways in turn, several times, with equally many workers:
`sox`, one sox process a file, as in NeMo's corpus scripts; `bare`, decoding, mixing and resampling in a pool of
processes without checks and output, the lower limit of any preparation; `prepare`, the whole job from the corpus folder
to the manifests, with every check and the converted files. The best of each is compared, by wall clock and by CPU time;
on a busy machine CPU time is the better measure.

Memory: a corpus whose rows name a few 16 kHz files again and again (through links), so that only the number of rows
grows.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from data_prep.prepare.pipeline import prepare_corpus  # noqa: E402  (only now is it found)
from data_prep.prepare.settings import PrepareSettings  # noqa: E402

FORMATS = (("mp3", 32000, 1), ("wav", 44100, 2), ("wav", 8000, 1), ("wav", 48000, 1))
SECONDS = 4.0
TEXT = "कमल खिला और नदी बहती रही"
MEMORY_ROWS = (1_000, 10_000, 100_000)
MEMORY_FILES = 8
PREPARE = """
import resource, sys
from data_prep.prepare.pipeline import prepare_corpus
from data_prep.prepare.settings import PrepareSettings
settings = PrepareSettings(corpus="tsv", corpus_dir=sys.argv[1], output_dir=sys.argv[2], num_workers=int(sys.argv[3]),
                           splits={"train": 1.0}, duplicate_audio="keep")
report = prepare_corpus(settings)
assert report["kept"] == report["in"], report["rejected_by_reason"]
# VmHWM, because ru_maxrss of a process begins with the peak of the one that started it
job = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("%.0f %.0f" % (job / 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))
"""


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.memory:
            measure_memory(Path(folder), arguments.workers)
        else:
            measure_speed(Path(folder), arguments.utterances, arguments.repeats, arguments.workers)


def measure_speed(folder: Path, utterances: int, repeats: int, workers: int) -> None:
    """Print the utterances per second of the three ways."""
    paths = make_corpus(folder / "corpus", utterances)
    ways: dict[str, Callable[[Path], None]] = {
        "sox": lambda out: convert_with_sox(paths, out, workers),
        "bare": lambda out: convert_barely(paths, workers),
        "prepare": lambda out: prepare(folder / "corpus", out, workers),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        for name, way in ways.items():
            out = folder / f"{name}{repeat}"
            out.mkdir()
            start, cpu_start = time.perf_counter(), get_cpu_seconds()
            way(out)
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(get_cpu_seconds() - cpu_start)
    print(f"{utterances} utterances of {SECONDS:g} s, {workers} workers, best of {repeats}")
    for name in ways:
        rate, cpu_rate = utterances / min(seconds[name]), utterances / min(cpu[name])
        print(
            f"{name:<8}{rate:8.0f} utterances/s{rate * SECONDS:8.0f} x real time{cpu_rate:8.0f} utterances/CPU-second"
        )
    for unit, times in (("wall clock", seconds), ("CPU time", cpu)):
        sox, bare, job = (min(times[name]) for name in ("sox", "bare", "prepare"))
        print(f"by {unit}, prepare is {sox / job:.2f} x sox and reaches {bare / job:.0%} of bare")


def get_cpu_seconds() -> float:
    """CPU time of this process and of all its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def make_corpus(folder: Path, utterances: int) -> list[Path]:
    """Write the files and their transcripts.tsv; return the files."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    paths, lines = [], ["path\tspeaker\ttext"]
    for number in range(utterances):
        suffix, rate, channels = FORMATS[number % len(FORMATS)]
        frames = round(SECONDS * rate)
        loudness = 0.05 * (1.1 + np.sin(2 * np.pi * 3 * np.arange(frames) / rate))[:, None]
        path = folder / f"{number:06d}.{suffix}"
        soundfile.write(path, loudness * generator.standard_normal((frames, channels)), rate)
        paths.append(path)
        lines.append(f"{path.name}\ts{number % 20}\t{TEXT}")
    (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def convert_with_sox(paths: Sequence[Path], out: Path, workers: int) -> None:
    """Start one sox a file, `workers` at a time."""

    def convert(path: Path) -> None:
        target = out / f"{path.stem}.wav"
        subprocess.run(["sox", "-V1", "-G", path, "-r", "16000", "-c", "1", "-b", "16", target], check=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(convert, paths))


def convert_barely(paths: Sequence[Path], workers: int) -> None:
    """Decode, mix and resample in a pool of processes, and throw the result away."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_decode, paths, chunksize=100))


def _decode(path: Path) -> int:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mixed = samples[:, 0] if samples.shape[1] == 1 else (samples[:, 0] + samples[:, 1]) / 2
    return len(soxr.resample(mixed, rate, 16000))


def prepare(corpus: Path, out: Path, workers: int) -> None:
    """Run the whole job."""
    settings = PrepareSettings(
        corpus="tsv", corpus_dir=corpus, output_dir=out, num_workers=workers, splits={"train": 1.0}
    )
    report = prepare_corpus(settings)
    assert report["kept"] == report["in"], report["rejected_by_reason"]


def measure_memory(folder: Path, workers: int) -> None:
    """Print the peak resident memory of the job and of its largest worker for growing corpora."""
    generator = np.random.default_rng(0)
    files = [folder / f"{number}.wav" for number in range(MEMORY_FILES)]
    for path in files:
        soundfile.write(path, 0.1 * generator.standard_normal(2 * 16000), 16000)
    print(f"{MEMORY_FILES} files of 2 s at 16 kHz, {workers} workers")
    for rows in MEMORY_ROWS:
        corpus = folder / f"corpus{rows}"
        corpus.mkdir()
        lines = ["path\tspeaker\ttext"]
        for number in range(rows):
            (corpus / f"{number:06d}.wav").symlink_to(files[number % MEMORY_FILES])
            lines.append(f"{number:06d}.wav\ts{number % 50}\t{TEXT}")
        (corpus / "transcripts.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        start = time.perf_counter()
        command = [sys.executable, "-c", PREPARE, corpus, folder / f"out{rows}", str(workers)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        job, worker = done.stdout.split()
        took = time.perf_counter() - start
        print(
            f"{rows:>8} rows{rows / took:8.0f} rows/s   peak {int(job)} MiB in the job, {int(worker)} MiB in a worker"
        )


if __name__ == "__main__":
    main()
