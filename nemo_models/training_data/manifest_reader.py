"""NeMo's manifest reader for Lhotse, which leaves out rows with a damaged audio header instead of ending the training.

The reader opens each file's header to learn its sampling rate. Its error there ends the whole stream of utterances,
whereas an error in the audio itself only costs that utterance. Here both are treated alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lhotse.cut import Cut
from nemo.collections.common.data.lhotse import cutset
from nemo.collections.common.data.lhotse.nemo_adapters import LazyNeMoIterator

from data_prep.audio.reader import SAMPLE_RATE_HZ
from nemo_models.training_data.utterance_names import UNREADABLE


class FaultTolerantNeMoIterator(LazyNeMoIterator):
    """Yields a row whose header is damaged like any other; reading its audio fails later, and Lhotse leaves it out."""

    def _create_cut(
        self, audio_path: str, offset: float | None, duration: float, sampling_rate: int | None = None
    ) -> Cut:
        """Overrides NeMo's method: takes the length from the manifest if the header is unreadable."""
        try:
            return super()._create_cut(audio_path, offset, duration, sampling_rate)
        except (*UNREADABLE, OSError):
            start = offset or 0.0
            recording = self._create_recording(audio_path, start + duration, SAMPLE_RATE_HZ)  # does not open the file
            cut = recording.to_cut().truncate(offset=start, duration=duration, preserve_id=True)
            cut.id = f"{cut.id}-{start:.2f}"
            return cut


@contextmanager
def fault_tolerant_manifests() -> Iterator[None]:
    """Inside this block, NeMo builds its Lhotse data loaders with `FaultTolerantNeMoIterator`."""
    module: Any = cutset
    original = module.LazyNeMoIterator
    module.LazyNeMoIterator = FaultTolerantNeMoIterator
    try:
        yield
    finally:
        module.LazyNeMoIterator = original
