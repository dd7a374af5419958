"""The options of transcription, declared and checked once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_prep.arguments import require_int, require_number
from data_prep.audio.channels import check_channel
from nemo_models.transcription.audio_windows import LEAST_WINDOW_S, WINDOW_S

if TYPE_CHECKING:
    import torch

EACH_CHANNEL = "each"
STAMPS = ("char", "word", "segment")
NEMO_FIELDS = (*STAMPS, "word_confidence", "beams")
"""The lists that NeMo's script writes with `timestamps`, `confidence` and `extract_nbest`."""


@dataclass(frozen=True)
class TranscribeOptions:
    """Options of transcription. Only `channel`, `window_s`, `language` and `autocast_dtype` may change a text.

    Attributes:
        batch_size: Number of windows (a short input is one window) that go through the model together, from 1.
        num_workers: Number of threads that read audio ahead; 0 reads between two batches.
        channel: Choice for files with several channels: the number of one, from 0; `average`; `auto` (averages two,
            refuses more); `each` (one transcript for each channel); `None` refuses such files.
        autocast_dtype: Type for `torch.autocast`; `None` computes in the type of the weights.
        sort_by_duration: Begin with the longest input, and batch it with others of similar length; false keeps the
            inputs' order.
        timestamps: Give each word with its times and confidence; `None`: if the model's labels are characters.
        nemo_fields: Any of `NEMO_FIELDS`, to be given as NeMo's script writes them.
        language: Code of the language, or the path of a language file, which must be the model's, or one of those of a
            model that has several; `None`: the model's, or the `lang` of an input's row, or the one that is identified.
        window_s: Seconds; longer audio is cut into windows of at most this length, see `audio_windows.cut_windows`.

    Raises:
        ValueError: An option is out of range.
    """

    batch_size: int = 32
    num_workers: int = 2
    channel: int | str | None = "auto"
    autocast_dtype: "torch.dtype | None" = None
    sort_by_duration: bool = True
    timestamps: bool | None = None
    nemo_fields: Sequence[str] = ()
    window_s: float = WINDOW_S
    language: str | None = None

    def __post_init__(self) -> None:
        require_int("batch_size", self.batch_size, 1)
        require_int("num_workers", self.num_workers)
        check_channel(self.channel, "channel_selector", others=(EACH_CHANNEL,))
        require_number("window_s", self.window_s, LEAST_WINDOW_S)
        unknown = [name for name in self.nemo_fields if name not in NEMO_FIELDS]
        if unknown:
            raise ValueError(f"nemo_fields={', '.join(unknown)}: expected any of {', '.join(NEMO_FIELDS)}")
