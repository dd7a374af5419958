"""The session settings of OpenAI's realtime transcription events, read and written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from data_prep.arguments import is_int, is_number
from data_prep.languages.language import DEFAULT_LANGUAGE, Language
from nemo_models.serving.api_errors import bad_field
from nemo_models.serving.client_languages import load_languages, read_language
from nemo_models.serving.stream_audio import LEAST_RATE_HZ, MOST_RATE_HZ

PCM_RATE_HZ = 24_000  # of OpenAI's audio/pcm
TELEPHONE_RATE_HZ = 8_000
LEAST_SILENCE_MS = 100
_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
_OLD_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_SESSION_KEYS = ("type", "audio", "include")
_INPUT_KEYS = ("format", "noise_reduction", "transcription", "turn_detection")
_OLD_KEYS = {
    "input_audio_noise_reduction": "noise_reduction",
    "input_audio_transcription": "transcription",
    "turn_detection": "turn_detection",
}


@dataclass(frozen=True)
class RealtimeSettings:
    """What a client wants of its session.

    Attributes:
        model: Name of the model.
        format: One of the keys of `_FORMATS`.
        rate: Rate of the samples; OpenAI's API has 24 kHz for `audio/pcm`, here others are possible.
        prompt: Phrases to prefer.
        language: The language as the client wrote it; `None`: each utterance's is identified.
        detects_turns: Whether the server ends utterances; else only the client's `commit` does.
        silence_ms: Milliseconds of silence that end an utterance; `None`: the server's setting.
        threshold: Probability from which on sound is speech, for `vad=silero`; `None`: the usual one.
        languages: The model's languages.
        needs_language: Whether the model cannot identify the language itself.
    """

    model: str
    format: str = "audio/pcm"
    rate: int = PCM_RATE_HZ
    prompt: str = ""
    language: str | None = DEFAULT_LANGUAGE
    detects_turns: bool = True
    silence_ms: int | None = None
    threshold: float | None = None
    languages: Sequence[Language] = field(default_factory=load_languages)
    needs_language: bool = False

    @property
    def code(self) -> str | None:
        """Code of the language to recognise in, for a model that has several."""
        return read_language("transcription.language", self.language, self.languages, self.needs_language)

    @property
    def encoding(self) -> str:
        """Name of the encoding in `stream_audio.ENCODINGS`."""
        return _FORMATS[self.format]

    def to_json(self, session_id: str, usual_silence_ms: int) -> dict[str, Any]:
        """Return the session's object.

        Args:
            session_id: The session's id.
            usual_silence_ms: What `silence_ms` is where the client set none.
        """
        turns = {
            "type": "server_vad",
            "threshold": 0.5 if self.threshold is None else self.threshold,
            "prefix_padding_ms": 300,
            "silence_duration_ms": self.silence_ms or usual_silence_ms,
        }
        row: dict[str, Any] = {"type": self.format}
        return {
            "id": session_id,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {**row, "rate": self.rate} if self.format == "audio/pcm" else row,
                    "noise_reduction": None,
                    "transcription": {"model": self.model, "language": self.language, "prompt": self.prompt},
                    "turn_detection": turns if self.detects_turns else None,
                }
            },
            "include": [],
        }


def update_settings(settings: RealtimeSettings, session: Any, models: Collection[str]) -> RealtimeSettings:
    """Apply a client's `session.update`, or the older `transcription_session.update`.

    Args:
        settings: What was valid before; it stays so for what the client leaves out.
        session: The event's `session`.
        models: Names of the model.

    Raises:
        ApiError: A value is wrong; it is named.
    """
    session = _object(session, "session")
    if not session.keys() & {"type", "audio"} and session.keys() & {*_OLD_KEYS, "input_audio_format"}:
        session = _modernize(session)
    if session.get("type", "transcription") != "transcription":
        raise bad_field("session.type", session["type"], "transcription; this server has no other sessions")
    _check_keys(session, _SESSION_KEYS, "session")
    if session.get("include"):
        raise bad_field("session.include", session["include"], "an empty list; there are no logprobs")
    audio = _object(session.get("audio") or {}, "session.audio")
    _check_keys(audio, ("input",), "session.audio")
    given = _object(audio.get("input") or {}, "session.audio.input")
    _check_keys(given, _INPUT_KEYS, "session.audio.input")
    if given.get("noise_reduction") is not None:
        raise bad_field("noise_reduction", given["noise_reduction"], "null; the server leaves audio as it is")
    if given.get("format") is not None:
        settings = _read_format(settings, given["format"])
    if given.get("transcription") is not None:
        settings = _read_transcription(settings, given["transcription"], models)
    if "turn_detection" in given:
        settings = _read_turns(settings, given["turn_detection"])
    return settings


def _modernize(session: Mapping[str, Any]) -> dict[str, Any]:
    """Write the settings of the API's beta as those of today."""
    _check_keys(session, (*_OLD_KEYS, "input_audio_format", "include"), "session")
    given = {new: session[old] for old, new in _OLD_KEYS.items() if old in session}
    name = session.get("input_audio_format")
    if name is not None:
        if not isinstance(name, str) or name not in _OLD_FORMATS:
            raise bad_field("input_audio_format", name, f"one of {', '.join(_OLD_FORMATS)}")
        given["format"] = {"type": _OLD_FORMATS[name]}
    return {"audio": {"input": given}, "include": session.get("include")}


def _read_format(settings: RealtimeSettings, given: Any) -> RealtimeSettings:
    given = _object(given, "format")
    _check_keys(given, ("type", "rate"), "format")
    name = given.get("type") or "audio/pcm"
    if not isinstance(name, str) or name not in _FORMATS:
        raise bad_field("format.type", name, f"one of {', '.join(_FORMATS)}")
    usual = PCM_RATE_HZ if name == "audio/pcm" else TELEPHONE_RATE_HZ
    rate = given.get("rate") or usual
    if not is_int(rate) or not LEAST_RATE_HZ <= rate <= MOST_RATE_HZ:
        raise bad_field("format.rate", rate, f"a whole number from {LEAST_RATE_HZ} to {MOST_RATE_HZ}")
    return replace(settings, format=name, rate=rate)


def _read_transcription(settings: RealtimeSettings, given: Any, models: Collection[str]) -> RealtimeSettings:
    given = _object(given, "transcription")
    _check_keys(given, ("model", "language", "prompt"), "transcription")
    for key, value in given.items():
        if value is not None and not isinstance(value, str):
            raise bad_field(f"transcription.{key}", value, "a text")
    model, language = given.get("model") or settings.model, given.get("language") or settings.language
    if model not in models:
        raise bad_field("transcription.model", model, f"one of {', '.join(models)}")
    read_language("transcription.language", language, settings.languages)
    prompt = settings.prompt if given.get("prompt") is None else given["prompt"]
    return replace(settings, model=model, language=language, prompt=prompt)


def _read_turns(settings: RealtimeSettings, given: Any) -> RealtimeSettings:
    if given is None:
        return replace(settings, detects_turns=False)
    given = _object(given, "turn_detection")
    if given.get("type", "server_vad") != "server_vad":
        raise bad_field("turn_detection.type", given["type"], "server_vad, or turn_detection=null")
    silence_ms, threshold = given.get("silence_duration_ms"), given.get("threshold")
    if silence_ms is not None and not (is_number(silence_ms) and LEAST_SILENCE_MS <= silence_ms <= 60_000):
        raise bad_field(
            "turn_detection.silence_duration_ms", silence_ms, f"milliseconds from {LEAST_SILENCE_MS} to 60000"
        )
    if threshold is not None and not (is_number(threshold) and 0 <= threshold <= 1):
        raise bad_field("turn_detection.threshold", threshold, "a number from 0 to 1")
    return replace(settings, detects_turns=True, silence_ms=silence_ms and round(silence_ms), threshold=threshold)


def _object(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_field(key, value, "an object")
    return value


def _check_keys(given: Mapping[str, Any], known: Collection[str], place: str) -> None:
    for key in given:
        if key not in known:
            raise bad_field(f"{place}.{key}", given[key], f"one of {', '.join(known)}; remove it")
