"""The served model: the engine, and everything that the REST API and the websockets share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from data_prep.languages.language import Language
from nemo_models.serving.client_languages import load_languages
from nemo_models.serving.decoding_pool import DecodingPool
from nemo_models.serving.metrics import ServerMetrics
from nemo_models.serving.stream_audio import StreamOptions
from nemo_models.serving.tasks import ServingEngine
from nemo_models.serving.transcription_request import ReadPrompt
from nemo_models.serving.uploads import UploadFolder, UploadLimits
from nemo_models.serving.voice_activity import OpenVoiceActivity
from nemo_models.transcription.subtitles import SubtitleSettings


class LiveStream(Protocol):
    """An open live stream, or a connection that is to become one."""

    @property
    def has_begun(self) -> bool: ...

    def stop(self) -> None:
        """End it, for the server stops."""


@dataclass
class ServedModel:
    """What the API serves.

    Attributes:
        engine: The engine.
        names: Names of the model; the first is its own.
        created: When its file was written, seconds since 1970.
        uploads: Folder of the uploads.
        metrics: Counters.
        upload_limits: Limits on what a client sends.
        timeout_s: Most seconds from upload to answer.
        gives_words: Whether transcripts have words with times.
        read_prompt: What splits a prompt into phrases; `None`: the decoder prefers none.
        write_numbers: Function that writes the numbers of a text in digits; `None` keeps them as spoken.
        subtitles: Form of the subtitles.
        stream_options: When live streams give results; `None`: the defaults.
        max_streams: Most live streams at a time; as many further connections may be open that have not begun.
        start_timeout_s: Most seconds until a connection begins a stream.
        open_voice_activity: Function that returns what finds speech in a live stream; `None`: the model alone does.
        decoders: Processes that decode uploads; `None`: this one.
        streams: The open live streams.
        is_stopping: Whether the server takes nothing new.
        languages: The model's languages, one or several.
        folds: Code -> label -> letter, for a model that writes several languages in one script.
    """

    engine: ServingEngine
    names: Sequence[str]
    created: int
    uploads: UploadFolder
    metrics: ServerMetrics
    upload_limits: UploadLimits
    timeout_s: float = 600.0
    gives_words: bool = True
    read_prompt: ReadPrompt | None = None
    write_numbers: Callable[[str], str] | None = None
    subtitles: SubtitleSettings | None = None
    stream_options: StreamOptions | None = None
    max_streams: int = 64
    start_timeout_s: float = 10.0
    open_voice_activity: OpenVoiceActivity | None = None
    decoders: DecodingPool | None = None
    streams: set[LiveStream] = field(default_factory=set)
    is_stopping: bool = False
    languages: Sequence[Language] = field(default_factory=load_languages)
    folds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def needs_language(self) -> bool:
        """Whether a client has to name the language, for the model cannot identify it."""
        return bool(self.folds) and len(self.languages) > 1

    def spell(self, text: str, code: str | None) -> str:
        """Write the labels of a live stream with the letters of its language; `None` is the server's only one."""
        letters = self.folds.get(code or self.languages[0].code) or {}
        return text.translate({ord(label): letter for label, letter in letters.items()})

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self.engine.ready and not self.is_stopping

    def stop_streams(self) -> None:
        """Take nothing new, and tell the live streams to end."""
        self.is_stopping = True
        for stream in list(self.streams):
            stream.stop()
