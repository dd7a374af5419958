"""Decoding in a child process: a crash, a hang or a kill of it costs one file."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from data_prep.audio import av_decoder, av_process
from data_prep.audio.av_decoder import AvSource, AvStream
from data_prep.audio.errors import AudioError, UnreadableAudioError
from data_prep.audio.opening import open_recording
from data_prep.audio.reader import AudioReader
from odd_audio import encode, speak, write


@pytest.fixture(scope="module")
def m4a(tmp_path_factory):
    return write(tmp_path_factory.mktemp("m4a") / "a.m4a", encode(speak(8, 48_000), 48_000, "ipod", "aac"))


@pytest.fixture
def source(m4a):
    return AvSource(m4a, "mov", [(0, m4a.stat().st_size)])


def pid_of(stream):
    return stream._child._process.pid


def test_blocks_of_any_size_give_the_same_samples(source):
    found = []
    for size in (1000, 77_777, 10**7):
        stream, blocks = AvStream(source), []
        while len(block := stream.read(size)):
            blocks.append(block)
        stream.close()
        found.append(np.concatenate(blocks))
    assert found[0].shape == (len(found[0]), 1) and len(found[0]) == pytest.approx(8 * 48_000, abs=4096)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


@pytest.mark.parametrize("death", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE])
def test_a_crash_costs_one_file(source, death):
    stream = AvStream(source)
    stream.read(1000)
    os.kill(pid_of(stream), death)
    with pytest.raises(UnreadableAudioError, match=f"FFmpeg: the decoder crashed \\({death.name}\\)"):
        for _ in range(100):
            stream.read(48_000)
    again = AvStream(source)
    assert len(again.read(1000)) == 1000
    again.close()


def test_a_kill_from_outside_is_not_the_files_fault(source):
    stream = AvStream(source)
    os.kill(pid_of(stream), signal.SIGKILL)
    with pytest.raises(OSError, match=r"the decoder was killed while it read a\.m4a; .* run again") as caught:
        for _ in range(100):
            stream.read(48_000)
    assert not isinstance(caught.value, AudioError)


def test_a_decoder_that_hangs_is_ended(source, monkeypatch):
    stream = AvStream(source)
    child = stream._child._process
    os.kill(child.pid, signal.SIGSTOP)
    monkeypatch.setattr(av_decoder, "ANSWER_S", 0.1)
    with pytest.raises(UnreadableAudioError, match=r"FFmpeg: the decoder gave nothing for 0\.1 s"):
        for _ in range(100):
            stream.read(48_000)
    assert child.wait() == -signal.SIGKILL


def test_an_endless_stream_is_ended(m4a, monkeypatch):
    request = {"path": str(m4a), "demuxer": "mov", "parts": [(0, m4a.stat().st_size)], "options": {}}
    monkeypatch.setattr(av_process, "_FREE_SECONDS", 0)
    monkeypatch.setattr(av_process, "_MOST_SECONDS_A_BYTE", 2 / m4a.stat().st_size)
    recording = av_process.FileDecoder(request)
    count, _ = recording.read(10**7)
    assert 2 * 48_000 <= count < 3 * 48_000 and "more audio than its size can hold" in recording.stopped


def test_children_are_used_again_and_one_serves_each_open_file(source):
    first, second = AvStream(source), AvStream(source)
    pids = {pid_of(first), pid_of(second)}
    assert len(pids) == 2 and np.array_equal(first.read(5000), second.read(5000))
    first.close()
    second.close()
    third = AvStream(source)
    assert pid_of(third) in pids
    third.close()


def test_threads_read_at_the_same_time(source):
    found = [None] * 6

    def read(number):
        stream = AvStream(source)
        found[number] = stream.read(10**7)
        stream.close()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(samples, found[0]) for samples in found)


def test_a_forked_process_has_children_of_its_own(source):
    stream = AvStream(source)
    pid, expected = pid_of(stream), stream.read(2000)
    stream.close()
    child = os.fork()
    if not child:
        again = AvStream(source)
        os._exit(0 if pid_of(again) != pid and np.array_equal(again.read(2000), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    stream = AvStream(source)
    assert pid_of(stream) == pid and np.array_equal(stream.read(2000), expected)
    stream.close()


BEGINNINGS = (
    *(b"\0\0\0\x20ftypM4A ", b"\x1aE\xdf\xa3\x9f", b"OggS\0\2", b"0&\xb2u\x8ef\xcf\x11", b"RIFF\xff\xff\0\0AVI "),
    *(b"\0\0\x01\xba", b"#!AMR\n", b"wvpk", b"TTA1", b"fLaC\0\0\0\x22", b"caff\0\1\0\0"),
    *(
        b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0",
        b"MAC ",
        b"FORM\0\0\xff\xffAIFF",
        b".snd\0\0\0\x18",
        b"NIST_1A\n   1024\n",
    ),
    *(b"RF64\xff\xff\xff\xffWAVE", b"riff\x2e\x91\xcf\x11", b"Creative Voice File\x1a", b".RMF\0\0\0\x12", b"MPCK"),
)


@pytest.mark.parametrize("number", range(len(BEGINNINGS)))
def test_noise_behind_any_mark_is_an_error_of_one_line(tmp_path, number):
    path = tmp_path / "a.bin"
    for seed in range(3):
        path.write_bytes(BEGINNINGS[number] + np.random.default_rng(seed).bytes(2000 * seed + 100))
        with AudioReader(tmp_path) as reader, pytest.raises(AudioError) as caught:
            reader.read(str(path))
        assert "\n" not in str(caught.value)


def test_noise_that_is_a_valid_file_ends(tmp_path):
    """Flash video is tags of any bytes: noise may be sound in it."""
    path = write(tmp_path / "a.flv", b"FLV\x01\5\0\0\0\x09" + np.random.default_rng(0).bytes(4000))
    with AudioReader(tmp_path) as reader, contextlib.suppress(AudioError):
        assert len(reader.read(str(path)).samples) < 4000 * 16_000


def test_every_decoder_is_named_that_refused(tmp_path):
    path = write(tmp_path / "a.wv", b"wvpk" + bytes(500))
    with pytest.raises(UnreadableAudioError, match=r"FFmpeg: .*; libsndfile: .*; sox"):
        open_recording(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git-LFS pointer"),
        (b"<!DOCTYPE html><title>404</title>", "an HTML page"),
        (b"PK\3\4" + bytes(100), "a zip archive"),
    ],
)
def test_other_files_under_a_recordings_name_are_named(tmp_path, content, kind):
    with pytest.raises(UnreadableAudioError, match=f"^found {kind}, expected a recording; fetch or write"):
        open_recording(write(tmp_path / "a.wav", content))


def test_names_of_any_kind_reach_the_child(m4a, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("\udce0\udca4.m4a", "हिंदी.m4a", "-", "concat:a|b.m4a", "http:", "a%03d.m4a", "|touch owned.m4a"):
        with Path(name).open("wb") as file:
            file.write(m4a.read_bytes())
        with AudioReader(tmp_path) as reader:
            assert len(reader.read(name).samples) > 100_000
    assert not (tmp_path / "owned.m4a").exists()
