"""Measure what a long recording loses against its utterances alone, and how much memory it takes.

    python scripts/benchmarks/long_audio.py model.nemo audio_folder       an hour, and memory from 10 minutes to 3 hours
    python scripts/benchmarks/long_audio.py model.nemo audio_folder --hours 0.2 --no-memory

The recording is made of the folder's utterances, in a seeded order, over and over, until it is long enough: once with
pauses of 0.8 to 2 s between them, of noise as loud as the utterance before is where it is quietest, and once with none,
so that one utterance's last sample is followed by the next one's first. The text of the whole is compared with the
texts of the utterances alone, one after another: word error rate of the one against the other, as jiwer counts. Word
times are compared for the utterances whose words all came out the same.

A model's text also changes where nothing is cut: beside the figures stands how many words differ when each utterance
alone is followed by 20 ms of silence, one frame. What the cutting itself loses is tested with a model that hears
perfectly (`tests/nemo_models/transcription/test_long_audio.py`).

Memory: the peak of a process of its own (VmHWM) for recordings of 10 minutes, 1 hour and 3 hours.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jiwer
import numpy as np
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from nemo_models.decoding.strategy import configure_decoding  # noqa: E402
from nemo_models.model_loading import load_ctc_model  # noqa: E402
from nemo_models.transcription.audio_reader import AUDIO_TYPES, load_waveform  # noqa: E402  (only now is it found)
from nemo_models.transcription.transcribe import transcribe  # noqa: E402
from nemo_models.transcription.transcript_files import Transcript  # noqa: E402

if TYPE_CHECKING:
    from nemo.collections.asr.models import EncDecCTCModel

RATE = 16_000
PAUSES_S = (0.8, 2.0)
MEMORY_HOURS = (1 / 6, 1.0, 3.0)
QUIET_S = 0.1  # the quietest stretch of so many seconds is the room
MEMORY = """
import sys
from pathlib import Path
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.model_loading import load_ctc_model
from nemo_models.transcription.transcribe import transcribe
model = load_ctc_model(Path(sys.argv[1]))
configure_decoding(model)
(transcript,) = transcribe(model, [sys.argv[2]], batch_size=8)
assert transcript.error is None, transcript.error
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak / 1024, transcript.duration_s, len(transcript.words))
"""


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower().lstrip(".") in AUDIO_TYPES)
    waves = [load_waveform(path) for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments.model, paths, waves, arguments.hours, Path(folder))
        if arguments.memory:
            measure_memory(arguments.model, waves, Path(folder))


def compare(model_path: Path, paths: Sequence[Path], waves: Sequence[np.ndarray], hours: float, folder: Path) -> None:
    """Print how far the text of a long recording is from those of its utterances."""
    model = load_ctc_model(model_path)
    configure_decoding(model)
    alone: dict[int, Transcript] = {}
    started = time.perf_counter()
    for transcript in transcribe(model, paths, batch_size=16):
        alone[transcript.index] = transcript
    seconds, took = sum(map(len, waves)) / RATE, time.perf_counter() - started
    print(f"{len(paths)} utterances, {seconds / 60:.1f} min, alone: {seconds / took:.0f} × real time")
    sensitivity = measure_sensitivity(model, waves, alone, folder)
    print(f"with 20 ms of silence after each: {100 * sensitivity:.2f} % of the words differ")
    for name, pauses in (("with pauses", True), ("without a pause", False)):
        places = write_recording(folder / "long.flac", waves, hours, pauses)
        started = time.perf_counter()
        (whole,) = transcribe(model, [folder / "long.flac"], batch_size=16)
        took = time.perf_counter() - started
        assert whole.error is None, whole.error
        expected = " ".join(alone[index].text for index, _ in places)
        rate = jiwer.wer(expected, whole.text)
        print(
            f"{name}: {whole.duration_s / 3600:.2f} h, {len(places)} utterances, {len(expected.split())} words, "
            f"{100 * rate:.2f} % of them differ, {whole.duration_s / took:.0f} × real time"
        )
        print(f"    word times: {describe_times(whole, alone, places)}")


def measure_sensitivity(
    model: "EncDecCTCModel", waves: Sequence[np.ndarray], alone: dict[int, Transcript], folder: Path
) -> float:
    """The share of words that differ when each utterance is followed by one frame of silence."""
    paths = [folder / f"{index}.wav" for index in range(len(waves))]
    for path, wave in zip(paths, waves, strict=True):
        soundfile.write(path, np.concatenate([wave, np.zeros(RATE // 50, np.float32)]), RATE, subtype="FLOAT")
    padded = {transcript.index: transcript.text for transcript in transcribe(model, paths, batch_size=16)}
    order = range(len(waves))
    return jiwer.wer(" ".join(alone[index].text for index in order), " ".join(padded[index] for index in order))


def describe_times(whole: Transcript, alone: dict[int, Transcript], places: Sequence[tuple[int, float]]) -> str:
    """Compare word times of utterances whose words came out the same with those of the utterance alone."""
    assert whole.words is not None
    differences: list[float] = []
    for (index, begin_s), end_s in zip(places, [begin for _, begin in places[1:]] + [whole.duration_s], strict=True):
        words = [word for word in whole.words if begin_s - 0.4 <= word.start_s < end_s - 0.4]
        single = alone[index].words or ()
        if [word.word for word in words] == [word.word for word in single]:
            differences += [abs(word.start_s - begin_s - own.start_s) for word, own in zip(words, single, strict=True)]
    share = len(differences) / max(1, len(whole.words))
    quantiles = np.quantile(differences, (0.5, 0.99, 1.0)) if differences else (np.nan,) * 3
    median, high, most = quantiles
    return (
        f"of {share:.0%} of the words, off by {median:.3f} s in the median, {high:.3f} s in 99 %, {most:.3f} s at most"
    )


def write_recording(path: Path, waves: Sequence[np.ndarray], hours: float, pauses: bool) -> list[tuple[int, float]]:
    """Write a long recording; return which utterance begins where, in seconds."""
    generator = np.random.default_rng(0)
    places: list[tuple[int, float]] = []
    written = 0
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC", subtype="PCM_16") as file:
        for index in endless_order(len(waves), generator):
            if written >= hours * 3600 * RATE:
                return places
            places.append((index, written / RATE))
            file.write(waves[index])
            written += len(waves[index])
            if pauses:
                count = round(generator.uniform(*PAUSES_S) * RATE)
                file.write(measure_room(waves[index]) * generator.standard_normal(count))
                written += count
    raise AssertionError


def endless_order(count: int, generator: np.random.Generator) -> Iterator[int]:
    """Yield all positions in an order drawn anew each time round."""
    while True:
        yield from generator.permutation(count).tolist()


def measure_room(wave: np.ndarray) -> float:
    """How loud (root of the mean square) the quietest stretch of an utterance is."""
    step = round(QUIET_S * RATE)
    return float(np.sqrt(np.square(wave[: len(wave) // step * step].reshape(-1, step)).mean(axis=1)).min())


def measure_memory(model_path: Path, waves: Sequence[np.ndarray], folder: Path) -> None:
    """Print the peak memory of a process that transcribes one recording, for recordings of growing length."""
    for hours in MEMORY_HOURS:
        write_recording(folder / "long.flac", waves, hours, pauses=True)
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, model_path.absolute(), folder / "long.flac"],
            cwd=REPOSITORY,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        peak, seconds, words = map(float, done.stdout.splitlines()[-1].split())
        print(
            f"{seconds / 3600:5.2f} h: peak {peak:.0f} MiB, {words:.0f} words, "
            f"{time.perf_counter() - started:.0f} s with start-up"
        )


if __name__ == "__main__":
    main()
