"""What a server and its child processes hold and take: memory, threads, files, processor time. From Linux's /proc."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

OPEN_ONES = ("hindi_asr_open_streams ", "hindi_asr_recordings ", "hindi_asr_waiting_windows ")
LOCK_FILES = 1  # of the folder of uploads, while its server runs
POLL_S = 0.5


@dataclass(frozen=True)
class Resources:
    """What is held at one moment.

    Attributes:
        memory_mb: Resident memory of the server's process, megabytes.
        decoders_memory_mb: That of all its child processes.
        processes: Number of child processes.
        threads: Number of threads of the server's process.
        open_files: Number of its open files, sockets and pipes.
        temporary_files: Number of files that its uploads have left.
    """

    memory_mb: float
    decoders_memory_mb: float
    processes: int
    threads: int
    open_files: int
    temporary_files: int


def measure_resources(pid: int, uploads: Path) -> Resources:
    """Measure a running server.

    Args:
        pid: Its process.
        uploads: Its `temporary_dir`.
    """
    children = list(list_children(pid))
    status = _read_status(pid)
    return Resources(
        memory_mb=_memory_mb(status),
        decoders_memory_mb=round(sum(_memory_mb(_read_status(child)) for child in children), 1),
        processes=len(children),
        threads=int(status["Threads"]),
        open_files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        temporary_files=count_temporary_files(uploads) - LOCK_FILES,
    )


def list_children(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and those that these have."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parent = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                if parent == pid:
                    yield int(folder.name)
                    yield from list_children(int(folder.name))


def measure_cpu_s(pid: int) -> float:
    """Return the seconds of processor time that a process and its children have taken."""
    ticks = 0
    for one in (pid, *list_children(pid)):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def count_temporary_files(uploads: Path) -> int:
    """Return the number of files in a server's `temporary_dir`."""
    return sum(path.is_file() for path in uploads.rglob("*"))


def wait_until_idle(host: str, most_s: float) -> None:
    """Wait until a server has no stream and no recording any more, or the time is over."""
    end = time.monotonic() + most_s
    while time.monotonic() < end:
        connection = HTTPConnection(host, timeout=most_s)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        if not any(float(line.split()[-1]) for line in lines if line.startswith(OPEN_ONES)):
            return
        time.sleep(POLL_S)


def _read_status(pid: int) -> dict[str, str]:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {}


def _memory_mb(status: dict[str, str]) -> float:
    return round(int(status.get("VmRSS", "0").split()[0]) / 1000, 1)
