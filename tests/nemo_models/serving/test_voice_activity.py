"""What is speech in a live stream: loudness, silero-vad, and what the session makes of their verdict."""

import asyncio
import sys

import numpy as np
import pytest

from fake_recogniser import RATE, FakeRecogniser, speak
from nemo_models.serving.engine import RecognitionEngine
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.stream_session import StreamSession
from nemo_models.serving.voice_activity import PIECE, VoiceTrack, load_voice_activity
from recogniser import read_sentences, synthesize


def make_music(seconds=6.0):
    """A tune of plucked notes with an overtone."""
    time = np.arange(RATE // 4) / RATE
    notes = np.random.default_rng(0).choice([262, 294, 330, 349, 392, 440, 494], round(4 * seconds))
    tones = (np.sin(2 * np.pi * note * time) + 0.5 * np.sin(4 * np.pi * note * time) for note in notes)
    return np.concatenate([0.4 * tone * np.exp(-6 * time) for tone in tones]).astype(np.float32)


def make_noise(seconds=6.0, level=0.1):
    return (level * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return synthesize("espeak-m3-p50-s150", read_sentences("test", 1), tmp_path_factory.mktemp("speech"))[0]


def judge(kind, samples, rate=RATE):
    track = VoiceTrack(load_voice_activity(kind)(None), rate)
    track.add(samples)
    return np.array(track._judged)


def test_silero_tells_speech_from_music_and_noise(speech):
    assert judge("silero", speech).mean() > 0.7
    for other in (make_music(), make_noise(), np.zeros(3 * RATE, np.float32)):
        assert judge("silero", other).mean() < 0.1
    assert "silero_vad" not in sys.modules and "torchaudio" not in sys.modules


def test_silero_hears_the_same_at_another_rate_and_in_any_pieces(speech):
    import soxr

    whole = judge("silero", speech)
    track = VoiceTrack(load_voice_activity("silero")(None), 48_000)
    high = soxr.resample(speech, RATE, 48_000)
    for first in range(0, len(high), 1111):
        track.add(high[first : first + 1111])
    found = np.array(track._judged)
    assert len(whole) - 3 <= len(found) <= len(whole) and np.mean(found == whole[: len(found)]) > 0.9


def test_energy_finds_the_quiet_between_loud_parts_only():
    room = make_noise(8.0, 0.001)
    room[2 * RATE : 3 * RATE] += make_noise(1.0)
    found = judge("energy", room)
    loud = slice(2 * RATE // PIECE + 1, 3 * RATE // PIECE - 1)
    assert found[loud].all() and not found[4 * RATE // PIECE :].any()
    assert judge("energy", make_noise(8.0, 0.001)).all(), "steady sound may be speech"
    assert not judge("energy", np.zeros(2 * RATE, np.float32)).any()


def test_frames_near_speech_and_frames_that_were_not_judged_count_as_speech():
    verdicts = iter([False] * 40 + [True] * 5 + [False] * 55)
    track = VoiceTrack(type("Told", (), {"judge": lambda self, piece: next(verdicts)})(), RATE)
    track.add(np.zeros(100 * PIECE, np.int16))
    voice = track.find_voice(0.0, 110, PIECE / RATE)
    pad = 9  # 0.3 s
    assert np.flatnonzero(voice).tolist() == [*range(40 - pad, 45 + pad), *range(100 - pad, 110)]
    assert track.holds_speech(0.0, 100 * PIECE / RATE) and not track.holds_speech(0.0, 40 * PIECE / RATE)


def run_session(samples, kind):
    """The results of a stream, 0.1 s at a time."""

    async def stream():
        rows = []

        async def keep(row):
            rows.append(row)

        opened = load_voice_activity(kind)
        session = StreamSession(engine, RATE, keep, voice=opened(None) if opened else None)
        for first in range(0, len(samples), RATE // 10):
            await session.add(samples[first : first + RATE // 10])
        await session.finish_utterance()
        assert session.pending == 0
        return rows

    engine = RecognitionEngine(FakeRecogniser(), EngineLimits())
    engine.start()
    try:
        rows = asyncio.run(stream())
    finally:
        engine.close()
    placed = [row for row in rows if row["type"] in ("final", "silence", "error")]
    places = [place for row in placed for place in (row["start_sample"], row["end_sample"])]
    assert places[0] == 0 and places[-1] == len(samples) and places[1:-1:2] == places[2::2]
    return placed


def test_music_and_noise_are_declared_silence_and_every_sample_is_somewhere(speech):
    """The fake recogniser hears letters in everything that is loud."""
    quiet = np.zeros(2 * RATE, np.float32)
    samples = np.concatenate([make_noise(5.0), quiet, speech, quiet, make_music(5.0), quiet])
    begin, end = 7 * RATE, 7 * RATE + len(speech)
    finals = [row for row in run_session(samples, "silero") if row["type"] == "final"]
    assert finals and finals[0]["start_sample"] > 4 * RATE and finals[-1]["end_sample"] < end + 2 * RATE
    assert finals[0]["start_sample"] <= begin and finals[-1]["end_sample"] >= end
    assert len([row for row in run_session(samples, "none") if row["type"] == "final"]) > len(finals)


def test_speech_without_the_model_is_not_lost_to_loudness():
    samples = np.concatenate([make_noise(2.0, 0.0001), speak("कखग", 0.5), make_noise(2.0, 0.0001)])
    (final,) = [row for row in run_session(samples, "energy") if row["type"] == "final"]
    assert final["start_sample"] <= 2 * RATE and final["end_sample"] >= 3.5 * RATE


def test_a_wrong_kind_is_named():
    with pytest.raises(ValueError, match=r"^vad=loud: expected "):
        load_voice_activity("loud")
