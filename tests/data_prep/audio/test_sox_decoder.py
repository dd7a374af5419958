"""Formats that only the program sox reads, and what happens without it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.audio.reader import (
    AudioError,
    AudioReader,
    UnreadableAudioError,
)
from read_audio import find_peak_hz, read


@pytest.mark.parametrize(
    ("container", "encoding", "bits"), [("amr-nb", None, None), ("sph", "signed", 16), ("vox", None, None)]
)
def test_telephone_formats_of_sox(tmp_path: Path, write_audio: Callable[..., Path], container, encoding, bits):
    tone = write_audio(tmp_path / "tone.wav", rate=8000, seconds=2)
    target = tmp_path / ("call.amr" if container == "amr-nb" else f"call.{container}")
    options = [*(["-e", encoding] if encoding else []), *(["-b", str(bits)] if bits else [])]
    done = subprocess.run(["sox", tone, "-t", container, *options, target], capture_output=True, text=True, check=False)
    if done.returncode and "no handler" in done.stderr:
        pytest.skip(f"this sox cannot write {container}: {done.stderr.strip()}")
    audio = read(target)
    # AMR's frames last 20 ms; ADPCM and AMR are lossy, but the tone stays the loudest.
    assert 32000 <= len(audio.samples) <= 32000 + 2 * 320 and find_peak_hz(audio.samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("suffix", ["raw", "m3u", "pls"])
def test_headerless_samples_and_playlists_are_refused(tmp_path, write_audio, suffix):
    tone = write_audio(tmp_path / "tone.wav")
    (tmp_path / f"a.{suffix}").write_text(f"{tone}\n")
    with pytest.raises(UnreadableAudioError, match=r"sox|playlist"):
        read(tmp_path / f"a.{suffix}")


def test_a_missing_sox_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.amr").write_text("text")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreadableAudioError, match=r"libsndfile: .*; sox, .* is not installed; run: apt-get install"):
        read(tmp_path / "a.amr")


def test_a_killed_sox_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.amr").write_text("text")
    (tmp_path / "sox").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "sox").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(OSError, match="sox was killed") as caught:
        read(tmp_path / "a.amr")
    assert not isinstance(caught.value, AudioError)


def test_a_file_name_is_never_a_command(tmp_path, write_audio, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "|touch owned; $(touch owned) -r.amr"
    subprocess.run(["sox", write_audio(tmp_path / "tone.wav", rate=8000), "-t", "amr-nb", "a.amr"], check=True)
    Path("a.amr").rename(name)
    with AudioReader(tmp_path) as reader:
        assert len(reader.read(name).samples) >= 16000
    assert not (tmp_path / "owned").exists()
