"""Makes audio files of kinds that soundfile does not write: MPEG-4, WebM, films, chained and cut files."""

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np


def speak(seconds: float, rate: int = 48_000, seed: int = 0) -> np.ndarray:
    """A tone that rises from 200 Hz by 100 Hz a second: every moment has its own pitch. (n,) float32, peak 0.5."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * (200 * times + 50 * times**2) + seed)).astype(np.float32)


def encode(
    samples: np.ndarray,
    rate: int,
    container: str,
    codec: str,
    options: Mapping[str, str] | None = None,
    bit_rate: int = 96_000,
    picture: bool = False,
    tracks: int = 1,
    codec_options: Mapping[str, str] | None = None,
) -> bytes:
    """Encode audio.

    Args:
        samples: (n,) or (n, channels) float32.
        rate: Their sampling rate.
        container: FFmpeg's name of the container.
        codec: FFmpeg's name of the encoder.
        options: Options of the container, such as `{"movflags": "frag_keyframe"}`.
        bit_rate: Bits a second.
        picture: Whether a track of pictures comes along.
        tracks: Number of audio tracks, all alike.
        codec_options: Options of the encoder; `q` is FFmpeg's quality (`-q:a`).

    Returns:
        The file.
    """
    planar = np.ascontiguousarray(np.atleast_2d(samples.T), dtype=np.float32)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(planar)]
    pictures = "flv" if container == "flv" else "mpeg4"
    folder = TemporaryDirectory()  # a file with its index in front is read again while it is written
    out = Path(folder.name) / "audio"
    with folder, av.open(str(out), "w", format=container, options=dict(options or {})) as file:
        video = file.add_stream(pictures, rate=25, width=64, height=48, pix_fmt="yuv420p") if picture else None
        streams = [file.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        for stream in streams:
            quality = dict(codec_options or {}).pop("q", None)
            if quality is None:
                stream.bit_rate = bit_rate
            else:
                stream.codec_context.qscale = True
                stream.codec_context.options = {"global_quality": str(118 * int(quality))}  # FF_QP2LAMBDA
            stream.codec_context.options |= {
                name: value for name, value in (codec_options or {}).items() if name != "q"
            }
        if video is not None:
            for _ in range(int(planar.shape[1] / rate * 25)):
                file.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
            file.mux(video.encode(None))
        for start in range(0, planar.shape[1], rate):
            for stream in streams:
                frame = av.AudioFrame.from_ndarray(planar[:, start : start + rate], format="fltp", layout=layout)
                frame.sample_rate, frame.pts = rate, start
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))
        file.close()
        return out.read_bytes()


def pack_caf(samples: np.ndarray) -> bytes:
    """Pack (n,) float32 samples at 48 kHz as Opus in a Core Audio file, as iPhones do; FFmpeg does not write these.

    Source: Apple's Core Audio Format specification, chunks `desc`, `pakt`, `data`.
    """
    with av.open(io.BytesIO(encode(samples, 48_000, "ogg", "libopus"))) as file:
        packets = [bytes(packet) for packet in file.demux() if packet.size]
    sizes = b"".join(
        bytes([len(packet) >> 7 | 0x80, len(packet) & 127]) if len(packet) > 127 else bytes([len(packet)])
        for packet in packets
    )
    chunks = (
        (b"desc", struct.pack(">d4sIIIII", 48_000.0, b"opus", 0, 0, 960, 1, 0)),
        (b"pakt", struct.pack(">qqii", len(packets), len(samples), 312, 0) + sizes),
        (b"data", bytes(4) + b"".join(packets)),
    )
    packed = [name + struct.pack(">q", len(content)) + content for name, content in chunks]
    return b"caff\0\1\0\0" + b"".join(packed)


def write(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
