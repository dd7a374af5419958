"""The rows of NeMo's tarred datasets and the cuts of Lhotse Shar, and the members of their tar files.

Source: nemo/scripts/speech_recognition/convert_to_tarred_audio_dataset.py and nemo_adapters.py (NeMo 3.0.0);
lhotse/shar/writers (Lhotse 1.33).
"""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.corpora.nemo import CHANNEL_KEYS
from data_prep.languages.union import language_of_row


def describe_row(
    name: str, row: Mapping[str, Any], shard_index: int, audio_format: str, samples: int
) -> dict[str, Any]:
    """Make a row of a tarred dataset's manifest.

    Args:
        name: Name of the audio in the tar, without its suffix.
        row: The row of the manifest that is exported.
        shard_index: Number of the shard.
        audio_format: `flac` or `wav`.
        samples: Number of samples at 16 kHz.
    """
    kept = {key: value for key, value in row.items() if key not in ("offset", *CHANNEL_KEYS)}
    place = {"audio_filepath": f"{name}.{audio_format}", "duration": samples / SAMPLE_RATE_HZ}
    return {**kept, **place, "shard_id": shard_index}


def describe_cut(name: str, row: Mapping[str, Any], samples: int) -> dict[str, Any]:
    """Make a cut of a Shar data set; the arguments are those of `describe_row`."""
    duration = samples / SAMPLE_RATE_HZ
    span = {"start": 0, "duration": duration, "channel": 0}
    supervision = {"id": name, "recording_id": name, **span, "text": row["text"]}
    supervision["language"] = language_of_row(row)
    if "speaker" in row:
        supervision["speaker"] = str(row["speaker"])
    recording = {
        "id": name,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": SAMPLE_RATE_HZ,
        "num_samples": samples,
        "duration": duration,
        "channel_ids": [0],
    }
    return {"id": name, **span, "supervisions": [supervision], "recording": recording, "type": "MonoCut"}


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar, with owner 0 and time 0, so that the bytes are the same every time."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def encode_rows(rows: Sequence[Mapping[str, Any]], compress: bool) -> bytes:
    """Encode rows as JSON lines, with gzip if asked for."""
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return gzip.compress(content, mtime=0) if compress else content
