"""The utterance that is being spoken: windows, labels that are kept, silences and ends; encodings."""

import io

import numpy as np
import pytest
import soundfile

from fake_recogniser import BLANK, FRAME_STEP, RATE, VOCABULARY, labels_of, speak
from nemo_models.serving.stream_audio import ENCODINGS, ModelFrames, StreamOptions, StreamUtterance

FRAMES = ModelFrames(RATE, FRAME_STEP, VOCABULARY)
OPTIONS = StreamOptions(left_context_s=1.0, right_context_s=0.4)
EDGE = 15  # frames at a window's ends that the model below gets wrong: less than both contexts


def listen(utterance, samples, piece, compute):
    """Add samples piece by piece; yield the text after each window."""
    for first in range(0, len(samples), piece):
        utterance.add(samples[first : first + piece])
        if window := utterance.take_window():
            utterance.add_labels(window[0], compute(*window))
            yield utterance.text


@pytest.mark.parametrize("piece", [160, 1000, 4001, 12_000, 100_000])
def test_kept_labels_are_those_of_the_whole_whatever_the_pieces(piece):
    """The model hears too little context at a window's ends, and writes nonsense there; none of it is kept."""
    samples = speak("क ख गघ क चछ ज झटक ख ग घ च" * 3)
    true = labels_of(samples)

    def compute(first, window):
        labels = labels_of(window)
        labels[len(labels) - EDGE :] = 7
        if first:
            labels[:EDGE] = 8
        return labels

    utterance = StreamUtterance(0, RATE, FRAMES, OPTIONS)
    texts = list(listen(utterance, samples, piece, compute))
    kept = len(utterance.labels)
    assert np.array_equal(utterance.labels, true[:kept]) and kept > len(true) - 60
    assert len(texts) > 1 or piece > len(samples) / 2
    assert np.array_equal(utterance.samples, samples)


def test_an_utterance_ends_in_the_gap_and_what_follows_is_the_next():
    utterance, compute = StreamUtterance(500, RATE, FRAMES, OPTIONS), lambda _, window: labels_of(window)
    samples = np.concatenate([speak("कख"), np.zeros(2 * RATE, np.float32)])
    for _ in listen(utterance, samples, 1600, compute):
        if end := utterance.find_end():
            break
    assert end == 0.6 * RATE + OPTIONS.endpoint_s / 2 * RATE and utterance.find_silence() is None
    for _ in listen(utterance, speak("गघ" * 4), 1600, compute):
        assert utterance.find_end() == end, "wherever the stream is by then"
    head, following = utterance.split(end)
    assert np.array_equal(np.concatenate([head, following.samples]), utterance.samples)
    assert following.start == 500 + end == 500 + len(head)


def test_quiet_before_speech_is_a_silence_and_never_reaches_into_it():
    utterance, compute = StreamUtterance(0, RATE, FRAMES, OPTIONS), lambda _, window: labels_of(window)
    samples, found = np.concatenate([np.zeros(3 * RATE, np.float32), speak("कख")]), []
    for _ in listen(utterance, samples, 1600, compute):
        found.append(utterance.find_silence())
    assert found[0] is None
    assert RATE < max(filter(None, found)) < 3 * RATE


def test_speech_without_an_end_is_cut_at_its_longest_gap():
    options = StreamOptions(utterance_s=6.0)
    utterance = StreamUtterance(0, RATE, FRAMES, options)
    samples = np.concatenate([speak("कखगघच" * 3), speak(" ", 0.4), speak("कखगघच" * 2)])
    ends = [utterance.find_end() for _ in listen(utterance, samples, 1600, lambda _, window: labels_of(window))]
    end = next(filter(None, ends))
    assert 4.5 * RATE < end < 4.9 * RATE


def test_without_labels_a_long_utterance_ends_where_it_is():
    utterance = StreamUtterance(0, RATE, FRAMES, StreamOptions(utterance_s=5.0))
    utterance.add(np.zeros(6 * RATE, np.int16))
    assert utterance.find_end() == 6 * RATE and utterance.find_silence() is None


def test_text_is_the_labels_without_repeats_and_blanks():
    frames = ModelFrames(RATE, FRAME_STEP, ["क", "ख", " "])
    assert frames.write(np.array([3, 0, 0, 3, 0, 2, 2, 3, 2, 1, 3])) == "कक ख"
    assert frames.write(np.zeros(0, int)) == ""
    assert frames.find_letters(np.array([3, 2, 0, 1])).tolist() == [2, 3]
    assert BLANK not in FRAMES.find_letters(np.array([BLANK]))


def test_encodings_are_those_of_libsndfile():
    samples = np.random.default_rng(0).integers(-32768, 32767, 4000).astype(np.int16)
    for name, subtype, kind in (
        ("pcm16", "PCM_16", "int16"),
        ("mulaw", "ULAW", "int16"),
        ("float32", "FLOAT", "float32"),
    ):
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format="RAW", subtype=subtype, endian="LITTLE")
        content = file.getvalue()
        reference, _ = soundfile.read(
            io.BytesIO(content), dtype=kind, format="RAW", subtype=subtype, channels=1, samplerate=RATE, endian="LITTLE"
        )
        encoding = ENCODINGS[name]
        assert len(content) == encoding.width * len(samples)
        assert np.array_equal(encoding.decode(content), reference)
    assert np.array_equal(ENCODINGS["mulaw"].decode(bytes(range(256)))[[0, 127, 128, 255]], [-32124, 0, 32124, 0])


@pytest.mark.parametrize("key", ["step_s", "endpoint_s", "utterance_s", "silence_s"])
def test_options_out_of_range_are_refused(key):
    with pytest.raises(ValueError, match=rf"^stream\.{key}=0: expected "):
        StreamOptions(**{key: 0})
