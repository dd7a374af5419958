"""A server over a fake recogniser, on a port that the system chooses, and a client for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from fake_recogniser import WORDS, FakeRecogniser
from nemo_models.serving.application import make_application
from nemo_models.serving.engine import RecognitionEngine
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.metrics import ServerMetrics
from nemo_models.serving.phrases import read_prompt
from nemo_models.serving.served_model import ServedModel
from nemo_models.serving.uploads import UploadFolder, UploadLimits
from nemo_models.serving.web_server import make_server

NAMES = ("tiny", "whisper-1")
LETTERS = sorted({character for word in WORDS for character in word} | {" "})


def make_served(folder, recogniser=None, limits=None, max_bytes=2_000_000, idle_s=60.0, **settings) -> ServedModel:
    engine = RecognitionEngine(recogniser or FakeRecogniser(), EngineLimits(**(limits or {})))
    return ServedModel(
        engine,
        NAMES,
        1_700_000_000,
        UploadFolder(folder),
        ServerMetrics(),
        UploadLimits(max_bytes, idle_s),
        **{"read_prompt": lambda prompt: read_prompt(prompt, LETTERS), **settings},
    )


@contextmanager
def run_server(served: ServedModel, shutdown_s: float = 10.0, **arguments) -> Iterator[str]:
    """Serve in a thread; give the address. The engine is ready."""
    application = make_application(served, **arguments)
    server = make_server(application, served, "127.0.0.1", 0, shutdown_s)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not (server.started and served.engine.ready):
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        recogniser = served.engine.recogniser
        if isinstance(recogniser, FakeRecogniser):
            recogniser.gate.set()  # nothing waits for a batch any more
        server.should_exit = True
        thread.join(60)


@contextmanager
def client_of(served: ServedModel, **arguments) -> Iterator[httpx.Client]:
    with run_server(served, **arguments) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client
