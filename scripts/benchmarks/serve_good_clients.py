"""Clients that use a server as they should, over and over, while others do what they like; every text is checked."""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from serve_faults import SIMPLE, WAIT_S, upload
from serve_figures import summarise
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

CHUNK_S = 0.25
BETWEEN_S = 0.2  # from one request to the next


class GoodClients:
    """One client that uploads and one that speaks, in threads, as long as the block lasts.

    Attributes:
        faults: What went wrong.
    """

    def __init__(self, host: str, paths: Sequence[str]) -> None:
        """Ask for each recording once: these texts are the right ones.

        Args:
            host: Host and port of a server that does nothing else yet.
            paths: Recordings, of one channel.

        Raises:
            ValueError: The server does not answer with a text.
        """
        self._host, self.faults = host, list[str]()
        self._ends, self._may_go, self._seconds = threading.Event(), threading.Event(), dict[str, list[float]]()
        self._resting = [threading.Event(), threading.Event()]
        self._files = {path: Path(path).read_bytes() for path in paths}
        self._waves = {path: soundfile.read(path, dtype="int16") for path in paths}
        works = (self._upload, self._speak)
        self._expected = {work: {path: work(path) for path in paths} for work in works}
        if not all(all(texts.values()) for texts in self._expected.values()):
            raise ValueError(f"recordings: found some without a text ({self.faults[:1]}); give others")
        self._threads = [
            threading.Thread(target=self._repeat, args=pair) for pair in zip(works, self._resting, strict=True)
        ]

    def __enter__(self) -> "GoodClients":
        """Begin."""
        self.go_on()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End after the requests that were begun."""
        self._ends.set()
        self._may_go.set()
        for thread in self._threads:
            thread.join()

    def pause(self) -> None:
        """Ask nothing from now on; return when nothing is open."""
        self._may_go.clear()
        for resting in self._resting:
            resting.wait()

    def go_on(self) -> None:
        """End a pause."""
        self._seconds = {}
        self._may_go.set()

    def summary(self) -> dict[str, Any]:
        """Return the time of the requests since the last pause."""
        return {name: summarise(seconds) for name, seconds in sorted(self._seconds.items())}

    def _repeat(self, work: Any, resting: threading.Event) -> None:
        while not self._ends.is_set():
            for path, text in self._expected[work].items():
                if not self._may_go.is_set():
                    resting.set()
                    self._may_go.wait()
                    resting.clear()
                if self._ends.is_set():
                    return
                begun = time.monotonic()
                found = work(path)
                if found is not None and found != text:
                    self.faults.append(f"{path}: found the text {found[:80]!r}, expected {text[:80]!r}")
                self._seconds.setdefault(work.__name__.strip("_"), []).append(time.monotonic() - begun)
                self._ends.wait(BETWEEN_S)

    def _upload(self, path: str) -> str | None:
        status, text = upload(self._host, Path(path).name, self._files[path])
        if status == 200:
            return json.loads(text)["text"]
        self.faults.append(f"{path}: upload, status {status}: {text[:200]}")
        return None

    def _speak(self, path: str) -> str | None:
        samples, rate = self._waves[path]
        texts: list[str] = []
        try:
            with connect(f"ws://{self._host}{SIMPLE}", open_timeout=WAIT_S, compression=None) as socket:
                socket.send(json.dumps({"type": "start", "sample_rate": rate}))
                for part in np.array_split(samples, max(1, round(len(samples) / rate / CHUNK_S))):
                    socket.send(part.tobytes())
                socket.send('{"type": "end"}')
                while (row := json.loads(socket.recv(WAIT_S)))["type"] != "closed":
                    if row["type"] == "error":
                        self.faults.append(f"{path}: stream: {row['error']['message'][:200]}")
                        return None
                    texts += [row["text"]] if row["type"] == "final" else []
        except (OSError, WebSocketException) as error:
            self.faults.append(f"{path}: stream: {type(error).__name__}: {error}")
            return None
        return " ".join(texts)
