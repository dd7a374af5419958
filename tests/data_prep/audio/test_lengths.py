"""No header's length is trusted: every kind of file is read to its end, and one that is cut is named as cut.

Each case goes the two ways that audio takes: `AudioReader` of data preparation, which refuses what is not whole, and
`WaveformStream` of transcription, which gives what there is with a warning.
"""

import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.audio.errors import AudioError
from data_prep.audio.reader import AudioReader
from data_prep.audio.waveform import WaveformStream
from odd_audio import encode, pack_caf, speak, write
from read_lengths import CODEC_S, RATE, prepare, sox, transcribe


@pytest.fixture(scope="module")
def compressed(voice: Path) -> dict[str, bytes]:
    """The voice in every kind of stream."""
    samples, rate = soundfile.read(voice, dtype="float32")
    folder = voice.parent
    sox(voice, "-C", "-4.2", "-t", "mp3", "-", stdout=folder / "vbr_pipe.mp3")  # a pipe: the index stays empty
    sox(voice, "-C", "-4.2", folder / "vbr_xing.mp3")
    sox(voice, "-C", "64", "-t", "mp3", "-", stdout=folder / "cbr_pipe.mp3")
    made = {path.name: path.read_bytes() for path in folder.glob("*.mp3")}
    mp3 = {"write_xing": "0"}
    made["vbr_ffmpeg.mp3"] = encode(samples, rate, "mp3", "libmp3lame", mp3, codec_options={"q": "4"})
    made["abr_ffmpeg.mp3"] = encode(samples, rate, "mp3", "libmp3lame", mp3, 48_000, codec_options={"abr": "1"})
    made["xing_ffmpeg.mp3"] = encode(samples, rate, "mp3", "libmp3lame", codec_options={"q": "4"})
    made["aac.m4a"] = encode(samples, rate, "ipod", "aac")
    made["faststart.m4a"] = encode(samples, rate, "ipod", "aac", {"movflags": "faststart"})
    fragments = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}
    made["fragmented.m4a"] = encode(samples, rate, "mp4", "aac", fragments)
    made["adts.aac"] = encode(samples, rate, "adts", "aac")
    wide = speak(6, 48_000)
    made["opus.webm"] = encode(wide, 48_000, "webm", "libopus")
    made["live.webm"] = encode(wide, 48_000, "webm", "libopus", {"live": "1"})  # sizes unknown, as browsers write it
    made["opus.opus"] = encode(wide, 48_000, "ogg", "libopus")
    for name, subtype in (("vorbis.ogg", "VORBIS"), ("sndfile.opus", "OPUS"), ("sndfile.mp3", "MPEG_LAYER_III")):
        soundfile.write(folder / name, wide, 48_000, subtype=subtype, format="MP3" if name.endswith("mp3") else "OGG")
        made[name] = (folder / name).read_bytes()
    return made


NAMES = (
    *("vbr_pipe.mp3", "vbr_xing.mp3", "cbr_pipe.mp3", "vbr_ffmpeg.mp3", "abr_ffmpeg.mp3", "xing_ffmpeg.mp3"),
    *("aac.m4a", "faststart.m4a", "fragmented.m4a", "adts.aac", "opus.webm", "live.webm", "opus.opus", "vorbis.ogg"),
    *("sndfile.opus", "sndfile.mp3"),
)


@pytest.mark.parametrize("name", NAMES)
def test_compressed_audio_is_read_to_its_end(tmp_path, compressed, name):
    path = write(tmp_path / name, compressed[name])
    assert prepare(path, tmp_path) == pytest.approx(6, abs=CODEC_S)
    seconds, warning = transcribe(path)
    assert seconds == pytest.approx(6, abs=CODEC_S) and warning is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_cut_file_is_truncated(tmp_path, compressed, name, share):
    content = compressed[name]
    path = write(tmp_path / name, content[: int(len(content) * share)])
    assert prepare(path, tmp_path) == "truncated_audio"
    if name == "aac.m4a" or (name, share) == ("vorbis.ogg", 0.5):  # index at the end; pages of four seconds
        with pytest.raises(AudioError, match="the file is cut: "):
            transcribe(path)
        return
    seconds, warning = transcribe(path)
    assert 0.8 < seconds < 6 and str(warning).startswith("truncated_audio: "), "what decodes is given"


@pytest.mark.parametrize("name", NAMES)
def test_joined_files_are_read_whole(tmp_path, compressed, name):
    path = write(tmp_path / name, 2 * compressed[name])
    assert prepare(path, tmp_path) == pytest.approx(12, abs=2 * CODEC_S)
    seconds, _ = transcribe(path)
    assert seconds == pytest.approx(12, abs=2 * CODEC_S)


@pytest.mark.slow
def test_more_than_four_gibibytes_of_samples_are_streamed(tmp_path):
    """Three hours of stereo: 4.4 GB as 32-bit samples, more than a WAV file can count; the memory stays flat."""
    minute = encode(np.zeros((60 * 48_000, 2), np.float32), 48_000, "ipod", "aac")
    path = write(tmp_path / "long.m4a", 190 * minute)
    before, samples = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    stream = WaveformStream(path)
    for block in stream:
        samples += len(block)
    assert samples / RATE == pytest.approx(190 * 60, abs=190 * CODEC_S) and stream.warning is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"


@pytest.mark.parametrize("name", ["vbr_xing.mp3", "opus.webm", "adts.aac", "opus.opus"])
def test_a_damaged_place_is_refused_in_preparation_and_named_in_transcription(tmp_path, compressed, name):
    content = bytearray(compressed[name])
    middle = len(content) // 2
    content[middle : middle + 900] = np.random.default_rng(1).bytes(900)
    path = write(tmp_path / name, bytes(content))
    assert prepare(path, tmp_path) in ("damaged_audio", "truncated_audio")
    seconds, warning = transcribe(path)
    assert 4 < seconds < 6.2 and warning, "FFmpeg goes on at the next frame, page or cluster"


@pytest.mark.parametrize("name", ["cbr_pipe.mp3", "adts.aac"])
def test_a_stream_that_begins_within_a_frame_is_read(tmp_path, compressed, name):
    content = compressed[name]
    seconds, warning = transcribe(write(tmp_path / name, content[len(content) // 2 + 57 :]))
    assert 2 < seconds < 4 and warning is None


def test_joined_streams_of_other_rates_and_channels_are_read_whole(tmp_path):
    mono, stereo = speak(3, 44_100), np.stack([speak(3, 22_050)] * 2, axis=1)
    joined = encode(mono, 44_100, "mp3", "libmp3lame") + encode(stereo, 22_050, "mp3", "libmp3lame")
    path = write(tmp_path / "a.mp3", joined)
    assert prepare(path, tmp_path) == pytest.approx(6, abs=2 * CODEC_S)
    chained = encode(speak(2), 48_000, "ogg", "libopus") + encode(np.stack([speak(2)] * 2, 1), 48_000, "ogg", "libopus")
    assert transcribe(write(tmp_path / "a.opus", chained)) == (pytest.approx(4, abs=2 * CODEC_S), None)


@pytest.mark.parametrize("tail", ["ID3v1", "APE", "zeros", "noise"])
def test_what_follows_the_frames_is_no_audio_and_no_fault(tmp_path, compressed, tail):
    content = compressed["cbr_pipe.mp3"]
    after = {
        "ID3v1": b"TAG" + bytes(125),
        "APE": b"APETAGEX" + struct.pack("<II8x", 2000, 64) + bytes(72),
        "zeros": bytes(5000),
        "noise": np.random.default_rng(0).bytes(3000),
    }
    whole = transcribe(write(tmp_path / "a.mp3", content))
    assert transcribe(write(tmp_path / "b.mp3", content + after[tail])) == whole and whole[1] is None


@pytest.mark.parametrize("container", ["amr-nb", "vox", "gsm"])
def test_telephone_formats_keep_silence(tmp_path, voice, container):
    """AMR sends frames of silence (DTX) in pauses."""
    path = tmp_path / f"a.{container.removesuffix('-nb')}"
    sox(voice, "-r", 8000, "-t", container, path)
    assert prepare(path, tmp_path) == pytest.approx(6, abs=0.04)
    assert transcribe(path) == (pytest.approx(6, abs=0.04), None)


@pytest.mark.parametrize(
    ("name", "options"), [("gsm.wav", ["-e", "gsm-full-rate", "-r", "8000"]), ("a.gsm", ["-r", "8000"])]
)
def test_gsm_is_read(tmp_path, voice, name, options):
    sox(voice, *options, tmp_path / name)
    assert prepare(tmp_path / name, tmp_path) == pytest.approx(6, abs=0.04)
    assert transcribe(tmp_path / name) == (pytest.approx(6, abs=0.04), None)
    with AudioReader(tmp_path) as reader:
        assert len(reader.read(str(tmp_path / name), 2.0, 1.5).samples) == 24_000


@pytest.mark.parametrize("seconds", [5.0, 5.03, 5.34])
def test_a_byte_of_padding_is_no_damaged_block_of_gsm(tmp_path, voice, seconds):
    """Blocks have 65 bytes; sox pads an odd number of them with a byte that it counts."""
    sox(voice, "-e", "gsm-full-rate", "-r", "8000", tmp_path / "a.wav", "trim", "0", seconds)
    assert prepare(tmp_path / "a.wav", tmp_path) == pytest.approx(seconds, abs=0.05)
    assert transcribe(tmp_path / "a.wav") == (pytest.approx(seconds, abs=0.05), None)


def test_codecs_inside_wav_and_caf(tmp_path):
    samples = speak(3, 48_000)
    for name, content in (
        ("mp3.wav", encode(samples, 48_000, "wav", "libmp3lame")),
        ("adpcm.wav", encode(samples, 48_000, "wav", "adpcm_ima_wav")),
        ("alac.caf", encode(samples, 48_000, "caf", "alac")),
        ("opus.caf", pack_caf(samples)),
    ):
        path = write(tmp_path / name, content)
        assert prepare(path, tmp_path) == pytest.approx(3, abs=CODEC_S), name
        assert transcribe(path) == (pytest.approx(3, abs=CODEC_S), None), name


def test_segments_of_streams_are_the_samples_at_their_place(tmp_path, compressed):
    """In any order, each the same as that part of the whole; only what is missing is refused."""
    for name in ("vbr_pipe.mp3", "aac.m4a", "live.webm"):
        path = write(tmp_path / name, compressed[name])
        with AudioReader(tmp_path) as reader:
            whole = reader.read(str(path)).samples
            for start in (4.0, 1.0, 2.5, 4.0):
                part = reader.read(str(path), start, 0.5).samples
                assert len(part) == 8000
                inside = slice(400, -400)  # the resampler sees no neighbours at the ends
                place = whole[round(start * RATE) :][:8000]
                assert np.abs(part[inside].astype(int) - place[inside]).max() <= 2
        content = compressed[name]
        cut = write(tmp_path / f"cut_{name}", content[: len(content) * 3 // 4])
        if name == "aac.m4a":
            continue
        with AudioReader(tmp_path) as reader:
            assert len(reader.read(str(cut), 0.2, 0.5).samples) == 8000
            with pytest.raises(AudioError) as caught:
                reader.read(str(cut), 5.4, 0.5)
            assert caught.value.reason in ("truncated_audio", "bad_segment")


def test_real_recordings_in_odd_formats_have_their_lengths(shared_data, tmp_path):
    folder = shared_data / "odd_formats"
    rows = [line.split("\t") for line in (folder / "transcripts.tsv").read_text("utf-8").splitlines()[1:]]
    for row in rows:
        if (folder / row[0]).is_file():
            assert prepare(folder / row[0], tmp_path) == pytest.approx(float(row[1]), abs=0.01), row[0]


def test_real_webm_from_browsers_is_whole(shared_data, tmp_path):
    folder = shared_data / "malayalam_msc"
    paths = sorted((folder / "audio").glob("*.webm"))[::60]
    assert paths
    for path in paths:
        seconds = prepare(path, tmp_path)
        assert isinstance(seconds, float) and transcribe(path) == (pytest.approx(seconds), None), path
