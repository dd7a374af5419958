"""Servers that a benchmark starts as processes, and ends when its block is left."""

import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

from side_process import ROOT, SHOWN

POLL_S = 0.2
ERROR = re.compile(r"^\s*([\w.]*(?:Error|Exception)\b.*)", re.MULTILINE)
LOG_BYTES = 20_000  # of its end
END_S = 40.0  # a server may finish what it has begun


class ServerFailed(RuntimeError):
    """A server did not start; the message ends with what it printed."""


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        host: Its host and port, `127.0.0.1:8000`.
        process: Its process.
        log: What it has printed.
    """

    host: str
    process: subprocess.Popen
    log: IO[bytes]

    @property
    def last_error(self) -> str:
        """The last exception that it has printed, or nothing."""
        return (ERROR.findall(read_log(self.log)) or [""])[-1]

    @property
    def all_output(self) -> str:
        """All that it has printed."""
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    @property
    def memory_mb(self) -> float:
        """Resident memory of the process, megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return round(int(kilobytes) / 1000, 1)


def interrupt(*_: object) -> NoReturn:
    """End as Ctrl-C does, so that no server stays behind."""
    raise KeyboardInterrupt


def choose_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def run_server(command: Sequence[object], ready_path: str, timeout_s: float = 240.0) -> Iterator[RunningServer]:
    """Run a server until the block ends.

    Args:
        command: Command line with `{port}` for the port.
        ready_path: Path that answers with 200 as soon as the server is ready.
        timeout_s: Seconds until then.

    Raises:
        ServerFailed: It ended, or was not ready in time.
    """
    port = choose_port()
    line = [str(part).replace("{port}", str(port)) for part in command]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            end = time.monotonic() + timeout_s
            while not answers(f"127.0.0.1:{port}", ready_path):
                if process.poll() is not None or time.monotonic() > end:
                    state = "not ready in time" if process.poll() is None else f"exit status {process.returncode}"
                    raise ServerFailed(f"{' '.join(line)}: {state}\n{read_log(log)[-SHOWN:]}")
                time.sleep(POLL_S)
            yield RunningServer(f"127.0.0.1:{port}", process, log)
        finally:
            end_process(process)


def read_log(log: IO[bytes]) -> str:
    """Return what a server has printed; its own writing goes on behind that."""
    return os.pread(log.fileno(), LOG_BYTES, max(0, os.fstat(log.fileno()).st_size - LOG_BYTES)).decode(
        errors="replace"
    )


def end_process(process: subprocess.Popen) -> None:
    """End a server and what it started: with a signal, then, if necessary, without asking."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(host: str, path: str) -> bool:
    """Return whether a server answers a GET request with 200."""
    connection = http.client.HTTPConnection(urlsplit(f"//{host}").netloc, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
