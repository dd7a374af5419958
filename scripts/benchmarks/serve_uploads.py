"""Uploads by several clients: this server beside the batch job, `transformers serve`, its pipeline and sherpa-onnx."""

import http.client
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import soundfile
from serve_clients import WARM_UP_ROUNDS, ask, make_body
from serve_figures import summarise
from serve_inputs import Inputs
from serve_process import RunningServer, ServerFailed, run_server
from serve_resources import measure_cpu_s
from side_process import ROOT, SHOWN, SideFailed

URL = "/v1/audio/transcriptions"
OURS, BATCH, PEER, PEER_SINGLE = "serve", "transcribe_speech", "pipeline", "pipeline_single"
PEER_SERVE, SHERPA = "transformers serve", "sherpa-onnx"
SHOWN_ANSWER = 200  # characters of an error
LOG_S = 1.0  # a server answers before it writes why


def measure_uploads(inputs: Inputs, clients: int, repeat: int, rounds: int, with_peer: bool) -> None:
    """Print the speed of each side.

    Args:
        inputs: The inputs.
        clients: Number of clients that upload at a time.
        repeat: How often each file is uploaded in a turn.
        rounds: Number of turns of each side.
        with_peer: Whether transformers takes part.

    Raises:
        ServerFailed: A server did not start.
        SideFailed: The batch job, the export or the clients failed.
    """
    paths = inputs.paths * repeat
    audio_s = sum(soundfile.info(path).duration for path in inputs.paths) * repeat
    turns: dict[str, Callable[[], dict[str, Any]]] = {}

    def uploads_to(server: RunningServer, url: str, model: str = "whisper-1") -> Callable[[], dict[str, Any]]:
        plan = {"clients": clients, "paths": paths, "url": url, "model": model}

        def turn() -> dict[str, Any]:
            before_s = measure_cpu_s(server.process.pid)
            found = inputs.ask_clients("uploads", server.host, **plan)
            sent = len(paths) + WARM_UP_ROUNDS * clients
            return {**found, "cpu_ms": 1000 * (measure_cpu_s(server.process.pid) - before_s) / sent}

        return turn

    with ExitStack() as running:
        turns[OURS] = uploads_to(running.enter_context(run_server(inputs.server_command, "/health/ready")), URL)
        turns[BATCH] = lambda: run_batch_job(inputs, paths, audio_s)
        if with_peer:
            folder = export(inputs, "huggingface")
            peer = running.enter_context(run_server(peer_command("pipeline", folder), "/health"))
            turns[PEER], turns[PEER_SINGLE] = uploads_to(peer, URL), uploads_to(peer, f"/single{URL}")
            if find_spec("sherpa_onnx"):
                sherpa = running.enter_context(run_server(peer_command(SHERPA, export(inputs, "onnx")), "/health"))
                turns[SHERPA] = uploads_to(sherpa, URL)
            else:
                inputs.print_row(
                    "rest_peer", side=SHERPA, error="not installed; pip install -c constraints.txt sherpa-onnx"
                )
            official = try_transformers_serve(inputs, folder, running)
            if official is not None:
                turns[PEER_SERVE] = uploads_to(official, URL, str(folder))
        run_rounds(inputs, turns, rounds, audio_s, clients)


def run_rounds(
    inputs: Inputs, turns: dict[str, Callable[[], dict[str, Any]]], rounds: int, audio_s: float, clients: int
) -> None:
    """Let all sides take turns, and print the best of each."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, turn in turns.items():
            found = turn()
            best[name] = min(best.get(name, found), found, key=lambda one: one["seconds"])
    expected = [text for _, text, _ in best[BATCH]["answers"]]
    for name, found in best.items():
        answers = [answer or (0, "", 0.0) for answer in found["answers"]]
        row: dict[str, Any] = {"side": name, "audio_s_per_s": round(audio_s / found["seconds"], 2)}
        row["serve_over_this"] = round(found["seconds"] / best[OURS]["seconds"], 3)
        row["failed"] = sum(status != 200 for status, _, _ in answers)
        row["texts_equal"] = sum(text == one for (_, text, _), one in zip(answers, expected, strict=True))
        if name != BATCH:
            row["answer_ms"] = summarise([seconds for _, _, seconds in answers])
            row["cpu_ms"] = round(found["cpu_ms"], 2)
            row["client_cpu_ms"] = round(1000 * found["client_cpu_s"] / len(answers), 2)
        inputs.print_row("rest", **row, files=len(answers), audio_s=round(audio_s, 1), clients=clients)


def run_batch_job(inputs: Inputs, paths: list[str], audio_s: float) -> dict[str, Any]:
    """Run `transcribe_speech.py` as a turn."""
    texts, speed = inputs.transcribe(paths)
    return {"seconds": audio_s / speed, "answers": [(200, text, 0.0) for text in texts]}


def peer_command(kind: str, folder: Path) -> list[object]:
    """Return the command line of a peer, see `serve_peer.py`."""
    return [sys.executable, str(ROOT / "scripts/benchmarks/serve_peer.py"), kind, folder, "{port}"]


def export(inputs: Inputs, form: str) -> Path:
    """Write the weights as a folder for transformers, or as an ONNX file."""
    folder = inputs.folder / form
    command = [sys.executable, str(ROOT / "scripts/export_model.py"), f"model_path={inputs.model}"]
    command += [f"format={form}", f"output_dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SideFailed(f"{' '.join(command[1:])}: exit status {done.returncode}\n{done.stderr[-SHOWN:]}")
    return folder


def try_transformers_serve(inputs: Inputs, folder: Path, running: ExitStack) -> RunningServer | None:
    """Start `transformers serve`, send it one file, and print what it answers; return it if that is a text."""
    program = Path(sys.executable).with_name("transformers")
    command = [program, "serve", folder, "--port", "{port}", "--host", "127.0.0.1", "--device", "cpu"]
    server = None
    with ExitStack() as trial:
        try:
            server = trial.enter_context(run_server(command, "/health"))
            connection = http.client.HTTPConnection(server.host, timeout=120)
            status, text = ask(connection, URL, *make_body(Path(inputs.paths[0]), str(folder)))
        except (ServerFailed, OSError) as failure:
            status, text = 0, str(failure)[-SHOWN_ANSWER:]
        time.sleep(LOG_S)
        error = server.last_error[:SHOWN_ANSWER] if server and status != 200 else ""
        inputs.print_row("rest_peer", side=PEER_SERVE, status=status, answer=text[:SHOWN_ANSWER], error=error)
        if server is None or status != 200:
            return None
        running.push(trial.pop_all())
    return server
