"""One live stream, for both protocols: from samples to partial and final results.

Every sample is in exactly one final result, one silence, or one error. The text of a final result equals that of the
batch job for the utterance's samples.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from data_prep.languages.union import LANGUAGE_KEY
from nemo_models.serving.api_errors import audio_error
from nemo_models.serving.response_formats import word_row
from nemo_models.serving.stream_audio import ModelFrames, StreamOptions, StreamUtterance
from nemo_models.serving.tasks import STOPPED, QueueFullError, ServingEngine
from nemo_models.serving.voice_activity import VoiceActivity, VoiceTrack
from nemo_models.transcription.inputs import in_language
from nemo_models.transcription.memory_audio import as_inputs
from nemo_models.transcription.transcripts import TIME_DIGITS, Transcript, Word

ADDED_S = 10.0  # seconds of audio that are added at once, so that a window stays short
RETRY_S = 0.2  # until a final that found no room is tried again
TOO_SHORT, NO_SPEECH, CLEARED = "too_short", "no_speech", "cleared"

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""Function that sends a result: `type` is partial, utterance_end (its final is being computed), final, silence or
error; `start` and `end` are seconds."""


class StreamSession:
    """A stream of audio and its results.

    Attributes:
        received: Number of samples so far.
    """

    def __init__(
        self,
        engine: ServingEngine,
        rate: int,
        send: Send,
        options: StreamOptions | None = None,
        write_numbers: Callable[[str], str] | None = None,
        phrases: Sequence[str] = (),
        voice: VoiceActivity | None = None,
        language: str | None = None,
        spell: Callable[[str, str | None], str] | None = None,
    ) -> None:
        """Begin a stream.

        Args:
            engine: The engine.
            rate: Rate of the samples.
            send: See `Send`.
            options: `None`: the defaults.
            write_numbers: Function that writes the numbers of a final text in digits; `None` keeps them as spoken.
            phrases: Phrases to prefer in finals.
            language: Code of the language, for a model that has several; `None`: each final's is identified.
            voice: What finds speech; `None`: the model alone does.
            spell: Function that writes labels with the letters of a language; `None`: they are its letters.
        """
        self.received = 0
        recogniser = engine.recogniser
        self._frames = ModelFrames(recogniser.sample_rate_hz, recogniser.frame_step, recogniser.vocabulary)
        self._engine, self._rate, self._send = engine, rate, send
        self._options, self._write_numbers, self._phrases = options or StreamOptions(), write_numbers, tuple(phrases)
        self._track = VoiceTrack(voice, rate) if voice else None
        self._utterance = StreamUtterance(0, rate, self._frames, self._options, self._track)
        self._shown = ""
        self._language, self._spell = language, spell or (lambda text, _: text)

    async def add(self, samples: np.ndarray) -> None:
        """Add samples, (n,) int16 or float32, and send what there is to say about them."""
        size = round(ADDED_S * self._rate)
        for first in range(0, len(samples), size):
            part = samples[first : first + size]
            self.received += len(part)
            self._utterance.add(part)
            if self._track:
                await asyncio.to_thread(self._track.add, part)
            await self._listen()

    async def finish_utterance(self) -> None:
        """End the utterance here, and send its final."""
        if self._utterance.length:
            await self._finish(self._utterance.length)

    async def discard(self) -> None:
        """Leave out what is not in a result yet: it is declared a silence."""
        if self._utterance.length:
            await self._declare_silence(self._utterance.length, CLEARED)

    def change(self, options: StreamOptions, phrases: Sequence[str], language: str | None = None) -> None:
        """Go on with other options, phrases and language."""
        self._options, self._phrases, self._language = options, tuple(phrases), language
        self._utterance.options = options

    @property
    def pending(self) -> int:
        """Number of samples that are not in a result yet."""
        return self._utterance.length

    async def _listen(self) -> None:
        """Compute a window if enough is new; show what it says; end what is over, and go on with what follows."""
        while (window := self._utterance.take_window()) is not None:
            first, samples = window
            found = await asyncio.wrap_future(self._engine.compute(samples, self._language).frames)
            if found is not None:
                self._utterance.add_labels(first, self._engine.recogniser.best_labels(found, self._language))
            silence, end = self._utterance.find_silence(), self._utterance.find_end()
            if silence is not None:
                await self._declare_silence(silence)
            elif end is not None:
                await self._finish(end)
            elif self._utterance.text != self._shown:
                self._shown = self._utterance.text
                place = self._place(self._utterance.start, self._utterance.length)
                text, stable = (self._spell(one, self._language) for one in (self._shown, self._utterance.stable_text))
                await self._send({"type": "partial", "text": text, "stable_text": stable, **place})

    async def _declare_silence(self, length: int, reason: str | None = None) -> None:
        start = self._utterance.start
        _, self._utterance = self._utterance.split(length)
        self._shown = ""
        row = {"type": "silence", "reason": reason} if reason else {"type": "silence"}
        await self._send({**row, **self._place(start, length)})

    async def _finish(self, length: int) -> None:
        ending = self._utterance
        start, (samples, self._utterance) = ending.start, ending.split(length)
        self._shown = ""
        await self._send({"type": "utterance_end", **self._place(start, length)})
        if not ending.holds_speech:
            await self._send({"type": "silence", "reason": NO_SPEECH, **self._place(start, length)})
            return
        transcript = await self._recognise(samples)
        place = self._place(start, length)
        error = audio_error(transcript.error) if transcript.error else None
        if error is None:
            await self._send({"type": "final", **self._final_row(transcript, start), **place})
        elif error.code == TOO_SHORT:
            await self._send({"type": "silence", "reason": TOO_SHORT, **place})
        else:
            await self._send({"type": "error", **error.body(), **place})

    async def _recognise(self, samples: np.ndarray) -> Transcript:
        """Recognise an utterance whole; where the queue is full, wait: nothing that was received is dropped."""
        (audio,) = as_inputs((samples, self._rate), self._rate)
        while True:
            try:
                task = self._engine.submit(in_language(audio, self._language), self._phrases)
            except QueueFullError:
                if not self._engine.ready:
                    return Transcript(0, audio, error=STOPPED)
                await asyncio.sleep(RETRY_S)
                continue
            try:
                return await asyncio.wrap_future(task.transcript)
            finally:
                task.cancel()

    def _final_row(self, transcript: Transcript, start: int) -> dict[str, Any]:
        shift_s = start / self._rate
        row: dict[str, Any] = {"text": transcript.text}
        if self._write_numbers:
            row = {"text": self._write_numbers(transcript.text), "text_spoken": transcript.text}
        if transcript.language is not None:
            row[LANGUAGE_KEY] = transcript.language
        if transcript.words is not None:
            moved = (
                Word(word.word, word.start_s + shift_s, word.end_s + shift_s, word.confidence)
                for word in transcript.words
            )
            row["words"] = [word_row(word) for word in moved]
        return row

    def _place(self, start: int, length: int) -> dict[str, Any]:
        end = start + length
        seconds = {"start": round(start / self._rate, TIME_DIGITS), "end": round(end / self._rate, TIME_DIGITS)}
        return {**seconds, "start_sample": start, "end_sample": end}
