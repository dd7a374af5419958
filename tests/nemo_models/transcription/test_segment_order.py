"""The order of reading: the longest first, the segments of a compressed recording together."""

import numpy as np
import pytest

from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.segment_order import count_segments, order_inputs
from odd_audio import encode, write

RATE = 16_000


@pytest.fixture
def inputs(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal((RATE, 1)).astype("float32")
    packed = write(tmp_path / "a.m4a", encode(noise, RATE, "ipod", "aac"))
    plain = write(tmp_path / "b.wav", encode(noise, RATE, "wav", "pcm_s16le"))
    return [
        AudioInput(plain, 0.0, 0.3),
        AudioInput(packed, 0.5, 0.2),
        AudioInput(plain, 0.3, 0.5),
        AudioInput(packed, 0.0, 0.4),
        AudioInput(plain, header_s=1.0),
        AudioInput(packed, 0.1, 0.1, error="manifest: bad"),
        AudioInput(tmp_path / "gone.m4a", 0.0, 0.1),
        AudioInput(tmp_path / "gone.m4a", 0.1, 0.1),
    ]


def test_only_recordings_that_are_decoded_from_their_beginning_are_shared(inputs):
    assert count_segments(inputs) == {inputs[1].path: 2}
    assert count_segments([inputs[1], inputs[4]]) == {}


def test_segments_of_a_compressed_recording_follow_one_another_in_time(inputs):
    order = order_inputs(inputs)
    assert sorted(order) == list(range(len(inputs)))
    assert order[:4] == [4, 2, 3, 1], "1.0 s, 0.5 s, then both of the m4a (its longest has 0.4 s)"
