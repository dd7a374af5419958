"""Measure the errors of a long recording against those of its utterances alone, and its memory.

    python scripts/benchmarks/long_audio.py model.nemo test_manifest.json      an hour; memory, 10 minutes to 3 hours
    python scripts/benchmarks/long_audio.py model.nemo audio_folder --hours 0.2 --no-memory

The recording repeats the manifest's (or folder's) utterances in a seeded order until it is long enough. It is made
twice: with pauses of 0.8 to 2 s between utterances, filled with noise at the level of the quietest part of the
utterance before, and without pauses. Printed are the word error rates against the manifest's references, and the share
of words that differ from the texts of the utterances alone (jiwer's word error rate of one against the other).

A model's text also depends on the sounds next to an utterance, even without a cut inside it. So the recording with
pauses is transcribed a third time, cut at the known places: each utterance whole, with half of the pauses around it.
The difference of the first to this is the cost of finding the cuts; the difference of this to the utterances alone is
due to the model.

Word times are compared for utterances with equal words. Memory is the peak of a separate process (VmHWM) for recordings
of 10 minutes, 1 hour and 3 hours.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jiwer
import numpy as np
import soundfile
from nemo.utils import logging

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from nemo_models.decoding.strategy import configure_decoding  # noqa: E402  (only now is it found)
from nemo_models.inference.model_loading import load_ctc_model, set_compute_dtype  # noqa: E402
from nemo_models.transcription.audio_reader import load_waveform  # noqa: E402
from nemo_models.transcription.inputs import AudioInput, list_inputs  # noqa: E402
from nemo_models.transcription.transcribe import transcribe  # noqa: E402
from nemo_models.transcription.transcripts import Transcript  # noqa: E402

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
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.transcription.transcribe import transcribe
model = load_ctc_model(Path(sys.argv[1]))
configure_decoding(model)
(transcript,) = transcribe(model, [sys.argv[2]], batch_size=8)
assert transcript.error is None, transcript.error
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak / 1024, transcript.duration_s, len(transcript.words))
"""


@dataclass(frozen=True)
class Place:
    """An utterance in the recording, in seconds: the middle of the pause before it, its begin, the same of the next."""

    index: int
    cut_s: float
    begin_s: float
    next_cut_s: float
    next_begin_s: float


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("audio", type=Path, help="a manifest, with references in `text`, or a folder")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    arguments = parser.parse_args()
    logging.setLevel(logging.ERROR)
    source = {"audio_dir" if arguments.audio.is_dir() else "dataset_manifest": arguments.audio}
    try:
        inputs = list_inputs(**source)
        waves = [load_waveform(audio.path, audio.offset_s, audio.duration_s) for audio in inputs]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments.model, inputs, waves, arguments.hours, Path(folder))
        if arguments.memory:
            measure_memory(arguments.model, waves, Path(folder))


def compare(
    model_path: Path, inputs: Sequence[AudioInput], waves: Sequence[np.ndarray], hours: float, folder: Path
) -> None:
    """Print how far the text of a long recording is from those of its utterances."""
    model = load_ctc_model(model_path)
    set_compute_dtype(model)
    configure_decoding(model)
    alone, speed = time_transcribe(model, inputs)
    print(f"{len(inputs)} utterances, {sum(map(len, waves)) / RATE / 60:.1f} min, alone: {speed:.0f} × real time")
    for name, pauses in (("with pauses", True), ("without a pause", False)):
        path = folder / "long.flac"
        places = write_recording(path, waves, hours, pauses)
        ways = {"the utterances alone": [alone[place.index].text for place in places]}
        if pauses:
            known = [AudioInput(path, place.cut_s, place.next_cut_s - place.cut_s) for place in places]
            ways["cut where it was joined"] = [transcript.text for transcript in time_transcribe(model, known)[0]]
        (whole,), speed = time_transcribe(model, [AudioInput(path)])
        ways["the recording"] = [whole.text]
        print(f"{name}: {whole.duration_s / 3600:.2f} h, {len(places)} utterances, {speed:.0f} × real time")
        report_texts(ways, [str(inputs[place.index].fields.get("text", "")) for place in places])
        print(f"    word times: {describe_times(whole, alone, places)}", flush=True)


def time_transcribe(model: "EncDecCTCModel", inputs: Sequence[AudioInput]) -> tuple[list[Transcript], float]:
    """The transcripts in the inputs' order, and how many times as fast as real time they came."""
    started = time.perf_counter()
    transcripts = sorted(transcribe(model, inputs, batch_size=16), key=lambda transcript: transcript.index)
    failed = [transcript.error for transcript in transcripts if transcript.error]
    assert not failed, failed
    return transcripts, sum(transcript.duration_s for transcript in transcripts) / (time.perf_counter() - started)


def report_texts(ways: dict[str, list[str]], references: Sequence[str]) -> None:
    """Print the word error rate of each way, and how many words differ from the ways before it."""
    reference = " ".join(references)
    rates: list[float] = []
    for name, texts in ways.items():
        text = " ".join(texts)
        line = f"    {name:24}{len(text.split())} words"
        if reference.strip():
            rates.append(100 * jiwer.wer(reference, text))
            line += f", WER {rates[-1]:.2f} %"
            line += f" ({rates[-1] - rates[0]:+.2f} points)" if len(rates) > 1 else ""
        for other, theirs in ways.items():
            if other == name:
                break
            line += f", {100 * jiwer.wer(' '.join(theirs), text):.2f} % differ from {other}"
        print(line)


def describe_times(whole: Transcript, alone: Sequence[Transcript], places: Sequence[Place]) -> str:
    """Compare word times of utterances whose words came out the same with those of the utterance alone."""
    assert whole.words is not None
    differences: list[float] = []
    for place in places:
        words = [word for word in whole.words if place.begin_s - 0.4 <= word.start_s < place.next_begin_s - 0.4]
        own = alone[place.index].words or ()
        if [word.word for word in words] == [word.word for word in own]:
            differences += [abs(a.start_s - place.begin_s - b.start_s) for a, b in zip(words, own, strict=True)]
    share = len(differences) / max(1, len(whole.words))
    quantiles = np.quantile(differences, (0.5, 0.99, 1.0)) if differences else (np.nan,) * 3
    median, high, most = quantiles
    return (
        f"of {share:.0%} of the words, off by {median:.3f} s in the median, {high:.3f} s in 99 %, {most:.3f} s at most"
    )


def write_recording(path: Path, waves: Sequence[np.ndarray], hours: float, pauses: bool) -> list[Place]:
    """Write a long recording; return what was put where."""
    generator = np.random.default_rng(0)
    places: list[Place] = []
    cut = written = 0
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC", subtype="PCM_16") as file:
        for index in endless_order(len(waves), generator):
            if written >= hours * 3600 * RATE:
                return places
            pause = round(generator.uniform(*PAUSES_S) * RATE) if pauses else 0
            file.write(waves[index])
            file.write(measure_room(waves[index]) * generator.standard_normal(pause))
            ends = written + len(waves[index])
            samples = (cut, written, ends + pause // 2, ends + pause)
            places.append(Place(index, *(position / RATE for position in samples)))
            cut, written = ends + pause // 2, ends + pause
    raise AssertionError


def endless_order(count: int, generator: np.random.Generator) -> Iterator[int]:
    """Yield all positions in a new random order in each round."""
    while True:
        yield from generator.permutation(count).tolist()


def measure_room(wave: np.ndarray) -> float:
    """Return the level (root mean square) of the quietest part of an utterance."""
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
