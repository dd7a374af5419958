"""Recognises the format of a recording by its content: the one table of audio and film formats in this project.

A format is recognised by the bytes at its beginning or, if it has no such mark, by several of its frames in a row.
FFmpeg never guesses: it gets the name of the format, so that playlists and scripts that name other files are not
followed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_prep.audio.mpeg_frames import find_first_frame

HEAD_BYTES = 1 << 16  # searched for the first frames of a format without a mark
_FRAMES_IN_A_ROW = 3  # of a format without a mark; by chance, one in 10^9 files has them
_MARK_BYTES = 64


@dataclass(frozen=True)
class AudioFormat:
    """One format of files.

    Attributes:
        name: Its usual name, for messages.
        demuxer: FFmpeg's name for it; `None` if FFmpeg does not read it.
        states_length: Whether its header gives the length that the audio has, so that less is a cut file.
    """

    name: str
    demuxer: str | None = None
    states_length: bool = False


WAV, RF64, W64 = AudioFormat("WAV", "wav"), AudioFormat("RF64", "wav"), AudioFormat("W64", "w64")
AIFF, AU, CAF = AudioFormat("AIFF", "aiff"), AudioFormat("AU", "au"), AudioFormat("CAF", "caf")
SPHERE, FLAC, OGG = AudioFormat("NIST SPHERE", "nistsphere"), AudioFormat("FLAC", "flac"), AudioFormat("Ogg", "ogg")
MPEG_AUDIO, AAC = AudioFormat("MP3", "mp3"), AudioFormat("AAC", "aac")
MP4 = AudioFormat("MPEG-4 (m4a, mp4, mov, 3gp)", "mov", states_length=True)
MATROSKA = AudioFormat("Matroska (mkv, webm)", "matroska")
_ASF = AudioFormat("Windows Media (wma, wmv, asf)", "asf", states_length=True)
_GSM = AudioFormat("GSM 06.10", "gsm")
_TRANSPORT = AudioFormat("MPEG-TS", "mpegts")

_MARKS: tuple[tuple[re.Pattern[bytes], AudioFormat], ...] = tuple(
    (re.compile(pattern, re.DOTALL), found)
    for pattern, found in (
        (rb"RIFF....WAVE", WAV),
        (rb"(RF64|BW64)....WAVE", RF64),
        (rb"riff\x2e\x91\xcf\x11", W64),
        (rb"FORM....AIF[FC]", AIFF),
        (rb"\.snd|dns\.", AU),
        (rb"caff\0", CAF),
        (rb"NIST_1A\n", SPHERE),
        (rb"fLaC", FLAC),
        (rb"OggS\0", OGG),
        (rb"....ftyp|....(moov|mdat|wide|free|skip|pnot)....", MP4),
        (rb"\x1aE\xdf\xa3", MATROSKA),
        (rb"0&\xb2u\x8ef\xcf\x11", _ASF),
        (rb"#!AMR", AudioFormat("AMR", "amr")),
        (rb"RIFF....AVI ", AudioFormat("AVI", "avi")),
        (rb"RIFF....QLCM", AudioFormat("QCP", "qcp")),
        (rb"FLV\x01", AudioFormat("Flash video", "flv")),
        (rb"\0\0\x01\xba", AudioFormat("MPEG-PS (mpg, vob)", "mpeg")),
        (rb"wvpk", AudioFormat("WavPack", "wv", states_length=True)),
        (rb"MAC ", AudioFormat("Monkey's Audio", "ape", states_length=True)),
        (rb"TTA1", AudioFormat("True Audio", "tta", states_length=True)),
        (rb"tBaK", AudioFormat("TAK", "tak")),
        (rb"MPCK", AudioFormat("Musepack", "mpc8")),
        (rb"MP\+", AudioFormat("Musepack", "mpc")),
        (rb"\.RMF", AudioFormat("RealMedia", "rm")),
        (rb"\.ra\xfd", AudioFormat("RealAudio", "rm")),
        (rb"Creative Voice File", AudioFormat("VOC", "voc")),
        (rb"FORM....(8SVX|16SV)", AudioFormat("IFF 8SVX", "iff")),
        (rb"DSD ", AudioFormat("DSF", "dsf")),
        (rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80", AudioFormat("DTS", "dts")),
        (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01", AudioFormat("MXF", "mxf")),
        (rb"\x64\xa3|\xa3\x64|\0\0\x64\xa3", AudioFormat("IRCAM", "ircam")),
    )
)
# Extensions of files that are meant as recordings, in lower case: such a file that is unreadable is an error.
EXTENSIONS = frozenset(
    (
        *("wav", "flac", "mp3", "ogg", "oga", "opus", "spx", "aiff", "aif", "aifc", "au", "snd", "caf", "w64", "rf64"),
        *("bwf", "sph", "nist", "amr", "awb", "m4a", "m4b", "m4r", "mp4", "m4v", "mov", "qt", "3gp", "3g2", "3ga"),
        *("aac", "adts", "webm", "weba", "mkv", "mka", "wma", "wmv", "asf", "mp1", "mp2", "mpa", "mpga", "gsm"),
        *("avi", "flv", "f4v", "ts", "m2ts", "mts", "mpg", "mpeg", "vob", "ac3", "eac3", "dts", "wv", "ape", "tta"),
        *("tak", "mpc", "rm", "ra", "rmvb", "voc", "8svx", "vox", "qcp", "dsf", "ogv", "ogx", "mxf"),
    )
)


def identify(file: BinaryIO) -> AudioFormat | None:
    """Tell a recording's format by its content.

    Args:
        file: The file, open for reading; its position moves.

    Returns:
        The format; `None` for what is none of the table.
    """
    start = skip_id3(file)
    file.seek(start)
    head = file.read(_MARK_BYTES)
    for mark, found in _MARKS:
        if mark.match(head):
            return found
    file.seek(start)
    head = file.read(HEAD_BYTES)
    return next((found for found, matches in _FRAMED.items() if matches(head)), None)


def skip_id3(file: BinaryIO) -> int:
    """Return where a file begins behind its ID3v2 tags, which any format may have."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10 or any(byte & 0x80 for byte in head[6:]):
            return start
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        start += 10 + length + (10 if head[5] & 0x10 else 0)


def is_recording(path: str | Path) -> bool:
    """Tell a recording from other files: by its content or, where that is not known, by its extension."""
    path = Path(path)
    if has_recording_extension(path):
        return True
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return identify(file) is not None
    except (OSError, ValueError):
        return False


def is_read_by_position(path: Path) -> bool:
    """Whether a recording's samples are found by their positions, without decoding what is before them."""
    try:
        if not path.is_file():
            return True  # opening it says so at once
        with path.open("rb") as file:
            return identify(file) in (WAV, RF64, W64, AIFF, AU, CAF, SPHERE, FLAC)
    except (OSError, ValueError):
        return True


def has_recording_extension(path: Path) -> bool:
    """Whether a name ends as a recording's does."""
    return path.suffix.lower().lstrip(".") in EXTENSIONS


def _is_transport_stream(head: bytes) -> bool:
    """MPEG-TS packets have 188 bytes; 4 more come before each in a camera's files (m2ts)."""
    return any(
        len(head) > start + 5 * size and all(head[start + size * at] == 0x47 for at in range(5))
        for start, size in ((0, 188), (4, 192))
    )


def _is_gsm(head: bytes) -> bool:
    """Each frame of 33 bytes begins with the four bits 1101."""
    starts = head[: len(head) // 33 * 33 : 33]
    return len(starts) >= 25 and all(byte >> 4 == 0xD for byte in starts)


def _is_ac3(head: bytes) -> bool:
    """Frames follow one another at the same distance, give or take the two bytes that 44.1 kHz needs now and then."""
    starts = [match.start() for match in re.finditer(rb"\x0b\x77", head)]
    return (
        bool(starts)
        and not starts[0]
        and any(
            all(any(abs(start - at * first) <= 2 * at for start in starts) for at in range(2, _FRAMES_IN_A_ROW + 1))
            for first in starts[1:8]
        )
    )


_FRAMED: dict[AudioFormat, Callable[[bytes], bool]] = {
    _TRANSPORT: _is_transport_stream,
    _GSM: _is_gsm,
    MPEG_AUDIO: lambda head: find_first_frame(head, "mpeg", _FRAMES_IN_A_ROW) is not None,
    AAC: lambda head: find_first_frame(head, "adts", _FRAMES_IN_A_ROW) is not None,
    AudioFormat("AC-3", "ac3"): lambda head: _is_ac3(head) and head[5] >> 3 <= 10,
    AudioFormat("E-AC-3", "eac3"): lambda head: _is_ac3(head) and head[5] >> 3 > 10,
}
