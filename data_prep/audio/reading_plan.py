"""Examines a file's structure and plans how to read it: which decoder, which bytes, and which parts are missing."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from data_prep.audio import formats
from data_prep.audio.containers import Part, walk_matroska, walk_mp4, walk_ogg
from data_prep.audio.errors import Fault
from data_prep.audio.formats import AudioFormat, identify
from data_prep.audio.headers import inspect_header
from data_prep.audio.mpeg_frames import FrameWalk, walk_frames
from data_prep.audio.riff import SampleLayout

_IMPOSSIBLE = "found frames that contradict themselves: bits in them were changed"
GAIN_CHANGED = "mp3gain changed its gain, so that its checksum says nothing of single changed bits"
_IGNORE_LENGTH = (("ignore_length", "1"),)  # an option of FFmpeg's WAV reader
_SNDFILE_FIRST = ("voc", "iff", "ircam")  # FFmpeg's names of formats that libsndfile reads as well
_SNDFILE_OGG = ("vorbis", "opus", "flac")


@dataclass
class ReadingPlan:
    """The plan for reading a file.

    Attributes:
        found: Its format.
        exact: Whether libsndfile is asked first.
        layout: Where its samples are, if they are read without the header.
        simple: Whether they are one run of 16-bit samples.
        parts: Byte ranges of its streams.
        options: FFmpeg's options.
        faults: What its structure shows to be wrong.
        note: What its header does not say.
        seconds: The length that its header gives.
    """

    found: AudioFormat | None
    size: int = 0
    exact: bool = False
    layout: SampleLayout | None = None
    simple: bool = False
    parts: list[tuple[int, int]] = field(default_factory=list)
    options: tuple[tuple[str, str], ...] = ()
    faults: list[Fault] = field(default_factory=list)
    note: str | None = None
    seconds: float | None = None


def plan_reading(file: BinaryIO) -> ReadingPlan:
    """Decide how a file is read.

    Args:
        file: The file, open for reading.

    Returns:
        The plan.
    """
    plan = ReadingPlan(identify(file))
    plan.size = file.seek(0, os.SEEK_END)
    if plan.found is not None:
        _PLANNERS.get(plan.found, _plan_other)(plan, file)
    return plan


def _plan_samples(plan: ReadingPlan, file: BinaryIO) -> None:
    assert plan.found is not None
    layout = inspect_header(file, plan.size, plan.found)
    if layout is None:
        plan.exact = True
        return
    plan.faults, plan.note = [layout.fault] if layout.fault else [], layout.note
    plan.exact = bool(layout.subtype) and (layout.plain or layout.subtype != "ADPCM")
    if not plan.exact and plan.found is formats.FLAC:
        plan.parts = layout.parts
    elif not plan.exact and not layout.plain:
        plan.options = _IGNORE_LENGTH
    elif not plan.exact and layout.whole_blocks and not layout.fault:  # a byte of padding would be a damaged block
        start, end = layout.parts[0]
        plan.parts = [(0, end - (end - start) % layout.block)]
    is_16_bit = layout.subtype == "PCM_16" and layout.endian == "LITTLE" and layout.block == 2 * layout.channels > 0
    plan.simple = is_16_bit and len(layout.parts) == 1
    if plan.exact and (plan.simple or not layout.plain):
        plan.layout = layout


def _plan_frames(plan: ReadingPlan, file: BinaryIO) -> None:
    kind = "adts" if plan.found is formats.AAC else "mpeg"
    walks = walk_frames(file, formats.skip_id3(file), plan.size, kind)
    plan.parts = [(walk.start, plan.size if walk.cut else walk.end) for walk in walks]
    before = 0.0
    for walk in walks:
        plan.faults += _find_frame_faults(walk, before)
        before += walk.seconds
    if any(walk.gain_changed for walk in walks):
        plan.note = GAIN_CHANGED
    whole = len(walks) == 1 and not plan.faults
    plan.exact = whole and walks[0].gapless and walks[0].regular and walks[0].indexed == walks[0].frames


def _find_frame_faults(walk: FrameWalk, before: float) -> list[Fault]:
    faults = []
    if walk.indexed is not None and walk.frames < walk.indexed - 1:  # some encoders count the index as a frame
        stated = walk.indexed * walk.samples_per_frame / walk.rate
        faults.append(Fault(f"{walk.seconds:.2f} of {stated:.2f} s are there", at_s=before + walk.seconds))
    elif walk.cut:
        faults.append(Fault("the file ends within a frame", at_s=before + walk.seconds))
    if walk.is_changed and not (faults or walk.damage or walk.impossible):
        faults.append(Fault("its checksum does not fit: bits in it were changed", truncated=False, somewhere=True))
    details = {"found other bytes between its frames": walk.damage, _IMPOSSIBLE: walk.impossible}
    return faults + [
        Fault(detail, truncated=False, at_s=before + at) for detail, places in details.items() for at in places
    ]


def _plan_ogg(plan: ReadingPlan, file: BinaryIO) -> None:
    parts = walk_ogg(file, plan.size)
    _add_parts(plan, parts)
    one = len(parts) == 1 and len(parts[0].serials) == 1 and not plan.faults
    plan.exact = one and parts[0].codec in _SNDFILE_OGG


def _plan_container(plan: ReadingPlan, file: BinaryIO) -> None:
    walk = walk_matroska if plan.found is formats.MATROSKA else walk_mp4
    parts = walk(file, plan.size)
    _add_parts(plan, parts)
    if len(parts) == 1:
        plan.seconds = parts[0].seconds


def _add_parts(plan: ReadingPlan, parts: list[Part]) -> None:
    plan.parts = [(part.start, part.end) for part in parts]
    for part in parts:
        if part.cut:
            plan.faults.append(Fault(f"the file is cut: {part.cut}"))
        if part.damage:
            plan.faults.append(Fault(f"{part.damage} of its pages are missing or damaged", truncated=False))


def _plan_other(plan: ReadingPlan, file: BinaryIO) -> None:
    plan.exact = plan.found is not None and plan.found.demuxer in _SNDFILE_FIRST


_PLANNERS: dict[AudioFormat, Callable[[ReadingPlan, BinaryIO], None]] = {
    **dict.fromkeys(
        (formats.WAV, formats.RF64, formats.AIFF, formats.AU, formats.CAF, formats.W64, formats.SPHERE, formats.FLAC),
        _plan_samples,
    ),
    **dict.fromkeys((formats.MPEG_AUDIO, formats.AAC), _plan_frames),
    **dict.fromkeys((formats.MATROSKA, formats.MP4), _plan_container),
    formats.OGG: _plan_ogg,
}
