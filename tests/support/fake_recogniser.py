"""A recogniser that needs neither torch nor NeMo: its text says what samples it was given, word by word."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from data_prep.audio.errors import AudioError
from nemo_models.transcription.audio_reader import stream_waveform
from nemo_models.transcription.audio_windows import AudioWindow, cut_windows
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.memory_audio import as_file
from nemo_models.transcription.transcripts import Transcript, Word

RATE = 16_000
FRAME_STEP = 320
WORDS = ["एक", "दो", "तीन", "चार", "पाँच", "छह", "सात", "आठ", "नौ", "दस"]


def word_of(samples: np.ndarray) -> str:
    """The word for a window: it depends on each sample."""
    return WORDS[int(np.abs(np.round(samples.astype(np.float64) * 32767)).sum()) % len(WORDS)]


VOCABULARY = [*"कखगघचछजझट"]
BLANK = len(VOCABULARY)


def labels_of(samples: np.ndarray) -> np.ndarray:
    """The label for each frame: a letter for how loud it is, the blank for quiet."""
    peaks = np.abs(samples[: len(samples) // FRAME_STEP * FRAME_STEP].reshape(-1, FRAME_STEP)).max(axis=1, initial=0)
    return np.where(peaks < 0.01, BLANK, np.minimum(peaks * 10, BLANK - 1).astype(int))


def speak(letters, seconds=0.3, rate=RATE):
    """Tones, each as loud as its letter's number says; a space is quiet."""
    time = np.arange(round(seconds * rate)) / rate
    loud = [0.0 if letter == " " else VOCABULARY.index(letter) / 10 + 0.05 for letter in letters]
    return np.concatenate([level * np.sin(2 * np.pi * 400 * time) for level in loud]).astype(np.float32)


class FakeRecognition:
    """A recording that is being recognised: one word for each window."""

    def __init__(self, audio: AudioInput, phrases: Sequence[str]):
        self.audio, self.phrases = audio, tuple(phrases)
        self.text, self.done, self.error = "", False, None
        self.words: list[Word] = []
        self.duration_s, self.warning = 0.0, None
        self.early: dict[int, tuple[AudioWindow, Word]] = {}  # windows that came before the one before them
        self.added = 0

    def add(self, window: AudioWindow, word: Word) -> None:
        self.early[window.number] = window, word
        while self.added in self.early:
            window, word = self.early.pop(self.added)
            self.added += 1
            self.words.append(word)
            self.text = " ".join(part.word for part in self.words)
            self.duration_s, self.done = word.end_s, window.last

    def finish(self) -> Transcript:
        said = {"words": tuple(self.words), "warning": self.warning, "language": self.audio.fields.get("lang")}
        return Transcript(0, self.audio, self.text, self.duration_s, **said)


class FakeRecogniser:
    """Computes when it may: `gate` holds it, `batches` says what came together, `poison` is a word that fails."""

    sample_rate_hz, frame_step, vocabulary, threads = RATE, FRAME_STEP, VOCABULARY, 1

    def __init__(self, window_s: float = 30.0):
        self.window_s, self.open_stream = window_s, stream_waveform
        self.gate, self.computing = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.batches: list[list[int]] = []
        self.poison: str | None = None
        self.warm = False
        self.confidences: dict[str, float] = {}  # of words; others have 0.75

    def warm_up(self) -> float:
        self.warm = True
        return 0.0

    def read(self, audio: AudioInput) -> Iterator[AudioWindow | Transcript]:
        try:
            with as_file(audio) as file:
                blocks = self.open_stream(file.path, channel="auto", sample_rate_hz=RATE)
                for window in cut_windows(blocks, RATE, FRAME_STEP, self.window_s):
                    if len(window.samples) < FRAME_STEP:
                        raise AudioError(f"too short: {audio.path}")
                    yield window
        except AudioError as error:
            yield Transcript(0, audio, error=str(error))

    def open(self, audio: AudioInput, phrases: Sequence[str] = ()) -> FakeRecognition:
        return FakeRecognition(audio, phrases)

    def compute(self, waveforms: Sequence[np.ndarray], threads: int | None = None) -> list[tuple[str, np.ndarray]]:
        self.computing.release()
        assert self.gate.wait(60)
        words = [word_of(samples) for samples in waveforms]
        if self.poison in words:
            raise RuntimeError("this word is too much")
        self.batches.append([len(samples) for samples in waveforms])
        return [(word, labels_of(samples)) for word, samples in zip(words, waveforms, strict=True)]

    def best_labels(self, frames: tuple[str, np.ndarray], language: str | None = None) -> np.ndarray:
        return frames[1]

    def add(self, computed) -> None:
        for recognition, window, (word, _) in computed:
            start_s, end_s = window.start / RATE, (window.start + len(window.samples)) / RATE
            recognition.add(window, Word(word, start_s, end_s, self.confidences.get(word, 0.75)))
