"""The transcription loop: one result for each input, the same text whatever is beside it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.inference.log_probs import _compute_at_once, compute_log_probs
from nemo_models.transcription.audio_reader import stream_waveform
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcribe import Transcriber, transcribe
from nemo_models.transcription.transcripts import transcript_row
from odd_audio import encode, write

RATE = 16_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Nine recordings of noise that rises and falls, 0.3 … 2 s: enough for a random model to write something."""
    folder, generator = tmp_path_factory.mktemp("audio"), np.random.default_rng(0)
    paths = []
    for index, seconds in enumerate((0.9, 0.3, 2.0, 1.1, 0.5, 1.7, 0.025, 0.8, 1.3)):
        time = np.arange(round(seconds * RATE)) / RATE
        samples = 0.2 * generator.standard_normal(len(time)) * (1 + np.sin(2 * np.pi * (index + 2) * time))
        paths.append(folder / f"{index}.wav")
        soundfile.write(str(paths[-1]), np.clip(samples, -1, 1), RATE)
    return paths


@pytest.fixture(params=["greedy_batch", "beam_batch"])
def model(request, tiny_model, hindi_lm):
    lm = str(hindi_lm) if request.param == "beam_batch" else None
    configure_decoding(tiny_model, {"strategy": request.param, "beam": {"ngram_lm_model": lm}})
    yield tiny_model
    configure_decoding(tiny_model)


@pytest.fixture
def greedy_model(tiny_model):
    configure_decoding(tiny_model)
    return tiny_model


def _transcribe(model, inputs, **options):
    """All of them, in the inputs' order."""
    return sorted(transcribe(model, inputs, **options), key=lambda transcript: transcript.index)


def _texts(transcripts):
    return [transcript.text for transcript in transcripts]


def test_text_does_not_depend_on_batch_order_or_workers(model, files):
    alone = [_texts(_transcribe(model, [path]))[0] for path in files]
    assert sum(map(bool, alone)) >= 8, "the model must write something for this to test anything"
    for batch_size in (1, 2, 8, 100):
        assert _texts(_transcribe(model, files, batch_size=batch_size)) == alone
    assert _texts(_transcribe(model, files[::-1], batch_size=4)) == alone[::-1]
    assert _texts(_transcribe(model, files, batch_size=4, sort_by_duration=False)) == alone
    for num_workers in (0, 1, 4):
        assert _texts(_transcribe(model, files, batch_size=3, num_workers=num_workers)) == alone


def test_greedy_text_is_nemos_own(greedy_model, files):
    """NeMo's `transcribe` on the same files, one by one: its loader and ours must agree."""
    ours = _texts(_transcribe(greedy_model, files))
    theirs = greedy_model.transcribe([str(path) for path in files], batch_size=1, verbose=False)
    assert ours == [" ".join(hypothesis.text.split()) for hypothesis in theirs]


def test_a_single_recording_is_a_list_of_one(greedy_model, files):
    expected = _texts(_transcribe(greedy_model, files[:1]))
    for single in (files[0], str(files[0]), AudioInput(files[0])):
        assert _texts(_transcribe(greedy_model, single)) == expected


def test_segment_is_the_text_of_the_cut_out_file(greedy_model, files, tmp_path):
    samples, _ = soundfile.read(str(files[2]), dtype="int16")
    soundfile.write(str(tmp_path / "part.wav"), samples[8_000:24_000], RATE)
    part, segment = _transcribe(greedy_model, [tmp_path / "part.wav", AudioInput(files[2], 0.5, 1.0)])
    assert segment.text == part.text != ""
    assert segment.duration_s == part.duration_s == 1.0


def test_bad_files_cost_nothing_else(greedy_model, files, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(str(tmp_path / "short.wav"), np.zeros(399), RATE)
    soundfile.write(str(tmp_path / "zero.wav"), np.zeros(0), RATE)
    soundfile.write(str(tmp_path / "just.wav"), np.zeros(400), RATE)
    bad = {
        tmp_path / "absent.wav": "missing_audio",
        tmp_path / "text.wav": "unreadable_audio",
        tmp_path / "short.wav": "too short",
        tmp_path / "zero.wav": "too short",
    }
    inputs = [tmp_path / "just.wav"]
    for path, good in zip(bad, files, strict=False):
        inputs += [path, good]
    results = _transcribe(greedy_model, inputs, batch_size=3)
    assert [result.index for result in results] == list(range(len(inputs)))
    for path, result in zip(inputs, results, strict=True):
        assert result.audio.path == path
        assert (result.error or "").split(":")[0] == bad.get(path, "")
        assert not (result.error and result.text)
    good_texts = [result.text for result in results if result.audio.path in files]
    assert good_texts == _texts(_transcribe(greedy_model, files[: len(bad)]))
    assert "24.9 ms, the model needs 25.0 ms" in results[inputs.index(tmp_path / "short.wav")].error


def test_a_cut_or_damaged_recording_gives_its_text_with_a_warning(greedy_model, files, tmp_path):
    """The text is that of the samples that decode; a segment in the sound part has no warning."""
    samples, _ = soundfile.read(files[2], dtype="float32")
    whole = write(tmp_path / "whole.mp3", encode(samples, RATE, "mp3", "libmp3lame", bit_rate=48_000))
    content = bytearray(whole.read_bytes())
    cut = write(tmp_path / "cut.mp3", bytes(content[: int(0.9 * len(content))]))
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    damaged = write(tmp_path / "damaged.mp3", bytes(content))
    part = AudioInput(cut, 0.2, 1.0)
    decoded = tmp_path / "decoded.wav"
    soundfile.write(decoded, np.concatenate(list(stream_waveform(cut))), RATE, subtype="FLOAT")
    results = _transcribe(greedy_model, [whole, cut, damaged, part, decoded])
    assert not any(result.error for result in results)
    assert [(result.warning or "none").split(":")[0] for result in results] == [
        *("none", "truncated_audio", "damaged_audio", "none", "none")
    ]
    assert results[1].text == results[4].text != "" and results[2].text


def test_results_come_as_they_are_ready(greedy_model, files, monkeypatch):
    batches = []
    compute = compute_log_probs
    monkeypatch.setattr(
        "nemo_models.transcription.transcribe.compute_log_probs",
        lambda model, waveforms, dtype: batches.append(len(waveforms)) or compute(model, waveforms, dtype),
    )
    results = transcribe(greedy_model, files * 3, batch_size=8)
    assert (next(results).index, batches) == (2, [1]), "the longest first, and before another one is computed"
    assert len(list(results)) == 3 * len(files) - 1
    assert batches == [1, 2, 4, 8, 8, 4]


def test_batch_that_does_not_fit_is_halved(greedy_model, files, monkeypatch):
    expected = _texts(_transcribe(greedy_model, files * 2))
    compute, sizes = _compute_at_once, []

    def small_memory(model, waveforms, width_step, dtype):
        sizes.append(len(waveforms))
        if len(waveforms) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(model, waveforms, width_step, dtype)

    monkeypatch.setattr("nemo_models.inference.log_probs._compute_at_once", small_memory)
    assert _texts(_transcribe(greedy_model, files * 2, batch_size=8)) == expected
    at = sizes.index(8)
    assert sizes[at : at + 7] == [8, 4, 2, 2, 4, 2, 2]


def test_output_that_is_not_finite_is_an_error_of_that_utterance(greedy_model, files, monkeypatch):
    forward, expected = greedy_model.forward, _texts(_transcribe(greedy_model, files[:3]))

    def spoilt(**inputs):
        log_probs, *rest = forward(**inputs)
        if len(log_probs) == 2:  # the second batch: the second and the third file
            log_probs[0] = float("nan")
        return log_probs, *rest

    monkeypatch.setattr(greedy_model, "forward", spoilt)
    results = _transcribe(greedy_model, files[:3], sort_by_duration=False)
    assert results[1].error.startswith("model: its output is not finite")
    assert _texts(results) == [expected[0], "", expected[2]]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": "many"},
        {"num_workers": -1},
        {"channel": "left"},
        {"channel": -1},
        {"window_s": 9},
    ],
)
def test_impossible_options_are_named(greedy_model, files, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}.*="):
        _transcribe(greedy_model, files[:1], **options)


def test_autocast_stays_close(greedy_model, files):
    """bf16 may flip a random model's near-ties; it must still write texts of about the same length."""
    full, half = (_transcribe(greedy_model, files, autocast_dtype=dtype) for dtype in (None, torch.bfloat16))
    lengths = [sum(map(len, _texts(transcripts))) for transcripts in (full, half)]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.2)


def test_the_package_gives_the_call_and_nothing_that_it_has_not():
    import nemo_models

    assert nemo_models.transcribe is transcribe and nemo_models.Transcriber is Transcriber
    with pytest.raises(AttributeError, match="no attribute 'transcript'"):
        nemo_models.transcript  # noqa: B018


def test_words_are_those_of_the_text_and_can_be_left_out(model, files):
    for transcript in transcribe(model, files):
        words = [word.word for word in transcript.words]
        assert " ".join(words) == transcript.text
        assert all(0 <= word.start_s < word.end_s <= transcript.duration_s for word in transcript.words)
        assert all(0 <= word.confidence <= 1 for word in transcript.words)
    assert all(transcript.words is None for transcript in transcribe(model, files, timestamps=False))


def test_nemos_fields(model, files):
    fields = ["char", "word", "segment", "word_confidence", "beams"]
    for transcript in transcribe(model, files, nemo_fields=fields):
        found = transcript.nemo_fields
        assert list(found) == fields
        assert [stamp["word"] for stamp in found["word"]] == transcript.text.split()
        assert len(found["word_confidence"]) == len(found["word"])
        assert found["beams"][0][0] == transcript.text
        scores = [score for _, score in found["beams"]]
        assert scores == sorted(scores, reverse=True)
    with pytest.raises(ValueError, match="nemo_fields=lang: expected any of char, word"):
        next(transcribe(model, files, nemo_fields=["lang"]))


def test_threads_share_a_transcriber(model, files):
    """Each text of four threads at once is that of one thread."""
    transcriber = Transcriber(model)
    expected = _texts(sorted(transcriber.transcribe(files), key=lambda transcript: transcript.index))
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: list(transcriber.transcribe(files)), range(4)))
    for found in runs:
        assert _texts(sorted(found, key=lambda transcript: transcript.index)) == expected


def test_nemos_transcribe_may_be_called_from_several_threads(greedy_model, files):
    """NeMo's method freezes and unfreezes the model: without a lock, one call in three failed."""
    paths = [str(path) for path in files[:3]]
    expected = [hypothesis.text for hypothesis in greedy_model.transcribe(paths, verbose=False)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: greedy_model.transcribe(paths, verbose=False), range(8)))
    assert [[hypothesis.text for hypothesis in found] for found in runs] == [expected] * 8


def test_a_warning_of_the_reader_stands_beside_the_text(greedy_model, files, monkeypatch):
    """A reader that goes on behind a damaged place has a `warning` once all blocks are read."""

    class Damaged:
        warning = None

        def __init__(self, *arguments):
            self._blocks = stream_waveform(*arguments)

        def __iter__(self):
            yield from self._blocks
            self.warning = "truncated_audio: found 1.9 s, expected 2.0 s"

    read = Transcriber.read
    monkeypatch.setattr(Transcriber, "read", lambda *arguments: read(*arguments, open_stream=Damaged))
    (transcript,) = transcribe(greedy_model, files[2])
    assert transcript.text and transcript.error is None
    assert transcript.warning == "truncated_audio: found 1.9 s, expected 2.0 s"
    assert transcript_row(transcript)["warning"] == transcript.warning
