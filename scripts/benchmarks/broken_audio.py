"""Recordings as files of all kinds, and broken ones made of them, drawn from a seed."""

import io
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import soundfile


def encode_all(samples: np.ndarray, rate: int) -> dict[str, bytes]:
    """Return a recording, (n,) float32, as a file of each kind, by extension."""
    found: dict[str, bytes] = {}
    for name, form, subtype in (
        ("wav", "WAV", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("mp3", "MP3", None),
        ("ogg", "OGG", "VORBIS"),
        ("opus", "OGG", "OPUS"),
    ):
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format=form, subtype=subtype)
        found[name] = file.getvalue()
    for name, container, codec in (("webm", "webm", "libopus"), ("m4a", "mp4", "aac")):
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            with av.open(str(path), "w", format=container) as out:
                stream: Any = out.add_stream(codec, rate=rate, layout="mono")
                frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = rate, 0
                out.mux(stream.encode(frame))
                out.mux(stream.encode(None))
            found[name] = path.read_bytes()
    return found


def mutate(content: bytes, other: bytes, generator: random.Random) -> bytes:
    """Return a broken version of a file; `other` is a file of another kind, to take parts of."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        at, size = generator.randrange(len(changed) + 1), generator.choice([1, 4, 64, 4096])
        match generator.randrange(7):
            case 0:  # bits; headers are at the beginning
                for _ in range(generator.randint(1, 40)):
                    place = generator.randrange(min(len(changed), generator.choice([64, 4096, 1 << 30])) or 1)
                    changed[place : place + 1] = bytes([generator.randrange(256)])
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[:size]
            case 4:
                changed[:size] = other[:size]
            case 5:
                changed[at:at] = generator.randbytes(size)
            case _:
                changed[at : at + size] = generator.choice([b"\0", b"\xff"]) * size
    return bytes(changed)


def draw_files(sources: Mapping[str, bytes], count: int, seed: str) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of broken files, of all kinds in turn."""
    generator, kinds = random.Random(seed), list(sources)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        other = sources[generator.choice(kinds)]
        yield f"{number}.{kind}", mutate(sources[kind], other, generator)
