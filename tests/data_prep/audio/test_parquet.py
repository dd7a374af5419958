"""Audio inside Parquet files: every format by every decoder, row after row, and nothing stays behind."""

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from data_prep.audio.errors import AudioError
from data_prep.audio.reader import AudioReader
from odd_audio import encode, speak


def test_rows_of_every_format_are_read_from_memory(tmp_path: Path):
    samples = speak(2, 48_000)
    soundfile.write(tmp_path / "a.wav", samples, 48_000)
    soundfile.write(tmp_path / "a.flac", samples, 48_000)
    cells = [
        (tmp_path / "a.wav").read_bytes(),
        encode(samples, 48_000, "ipod", "aac"),
        (tmp_path / "a.flac").read_bytes(),
        encode(samples, 48_000, "webm", "libopus"),
        encode(samples, 48_000, "mp3", "libmp3lame", {"write_xing": "0"}),
        encode(samples, 48_000, "webm", "libopus")[:9000],
        b"<!DOCTYPE html><title>404</title>",
    ]
    table = pyarrow.table({"audio": [{"bytes": cell, "path": None} for cell in cells]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=3)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with AudioReader(scratch) as reader:
        for row in (0, 1, 2, 3, 4, 3, 1):
            audio = reader.read(str(tmp_path / "rows.parquet"), row=row)
            assert not audio.ready and len(audio.samples) / 16_000 == pytest.approx(2, abs=0.16), row
        part = reader.read(str(tmp_path / "rows.parquet"), 1.0, 0.5, row=1).samples
        assert len(part) == 8000 and np.abs(part).max() > 10_000
        for row, reason in ((5, "truncated_audio"), (6, "unreadable_audio")):
            with pytest.raises(AudioError) as caught:
                reader.read(str(tmp_path / "rows.parquet"), row=row)
            assert caught.value.reason == reason
    assert not list(scratch.iterdir())
