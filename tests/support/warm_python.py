"""A Python that has imported NeMo already: commands of tests run in forks of it, 9 s of CPU sooner each.

`serve` listens at a Unix socket. A client sends arguments, folder, environment and its three streams; a fork runs the
script as `__main__` there and answers with the exit status. Scripts that this script starts with `sys.executable` run
in forks, too. Without threads in the parent a fork is safe: OpenMP and OpenBLAS are held to one thread.
"""

import array
import contextlib
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLIENT = """
import array, json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.environ["WARM_PYTHON"])
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
streams = array.array("i", [0, 1, 2])
connection.sendmsg([len(request).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
connection.sendall(request)
status = connection.recv(1)
sys.exit(status[0] if status else 1)
"""
EXECUTABLE = """#!/bin/sh
# sys.executable in a fork. Only the project's scripts become forks; modules, code and Ray's workers are new processes.
[ "$1" = -u ] && [ "${2##*.}" = py ] && shift
case "$1" in
scripts/*.py | */scripts/*.py) exec "PYTHON" -S -E "CLIENT" "$@" ;;
*) exec "PYTHON" "$@" ;;
esac
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of tests: they share the cores as processes, and two threads in each would wait for one another."""


@dataclass(frozen=True)
class WarmPython:
    """A running server.

    Attributes:
        address: Path of its socket.
        client: Path of the client.
        executable: Program that takes the arguments of Python, and runs scripts of the project in forks.
    """

    address: Path
    client: Path
    executable: Path

    @property
    def shell(self) -> str:
        """Line of shell that defines `python` as the client."""
        return f"export WARM_PYTHON='{self.address}'; python() {{ '{sys.executable}' -S -E '{self.client}' \"$@\"; }}"

    def run(self, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run `script.py arguments…` or `-m module arguments…` in a folder, with this process' environment."""
        command = [sys.executable, "-S", "-E", str(self.client), *map(str, arguments)]
        environment = {**os.environ, "WARM_PYTHON": str(self.address)}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=600
        )


@contextlib.contextmanager
def start_warm_python(folder: Path) -> Iterator[WarmPython]:
    """Start a server, and end it at the end.

    Args:
        folder: Folder for the socket and the client; its path must be short enough for a socket (about 100 characters).
    """
    address, client, log = folder / "socket", folder / "client.py", folder / "server.log"
    executable = folder / "python"
    client.write_text(CLIENT, encoding="utf-8")
    executable.write_text(EXECUTABLE.replace("PYTHON", sys.executable).replace("CLIENT", str(client)), encoding="utf-8")
    executable.chmod(0o755)
    with log.open("w", encoding="utf-8") as output:
        command = [sys.executable, __file__, str(address)]
        server = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **ONE_THREAD})
    try:
        for _ in range(6000):
            if address.exists():
                break
            assert server.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield WarmPython(address, client, executable)
    finally:
        server.terminate()
        server.wait()


def serve(address: str) -> None:
    """Import what every command imports, then run one script in a fork for each connection."""

    from numba.core.registry import cpu_target

    for name in ("ctc_model", "training.finetuning", "transcription.command", "evaluation.evaluation"):
        importlib.import_module(f"nemo_models.{name}")
    cpu_target.target_context.refresh()  # imports what compiled functions need
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os._exit(_answer(connection))
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _answer(connection: socket.socket) -> int:
    streams = array.array("i")
    head, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    size, request = int.from_bytes(head, "big"), b""
    while len(request) < size:
        request += connection.recv(size - len(request))
    arguments, folder, environment = json.loads(request)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = str(Path(environment["WARM_PYTHON"]).with_name("python"))
    status = _run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([status]))
    return status


def _run(arguments: list[str]) -> int:
    """Run `script.py arguments…` or `-m module arguments…`; return the exit status."""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path[0] = str(Path.cwd())
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path[0] = str(Path(arguments[0]).resolve().parent)
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
