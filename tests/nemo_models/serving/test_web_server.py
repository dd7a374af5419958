"""Connections that do nothing end, streams of a server that stops get their results, every stream has a line of log."""

import io
import json
import logging
import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress

import httpx
import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fake_recogniser import RATE, FakeRecogniser, speak
from serving_client import client_of, make_served, run_server

WAIT_S = 60
HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = struct.pack("!BB", 0x89, 0x80 | 100) + bytes(104)  # with a mask of zeros and 100 bytes of payload


def connect_raw(address):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before connecting: what the client takes unread
    connection.settimeout(WAIT_S)
    connection.connect(("127.0.0.1", int(address.rpartition(":")[2])))
    return connection


@pytest.mark.parametrize("beginning", [b"", b"GET /health/live HTTP/1.1\r\nHost:"], ids=["nothing", "half a head"])
def test_connections_that_ask_for_nothing_end(tmp_path, beginning):
    with run_server(make_served(tmp_path, idle_s=0.2)) as address, ExitStack() as open_ones:
        connections = [open_ones.enter_context(connect_raw(address)) for _ in range(50)]
        for connection in connections:
            connection.sendall(beginning)
        for connection in connections:
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("first", "repeated"),
    [(b"", b"GET /page/page.js HTTP/1.1\r\nHost: a\r\n\r\n"), (HANDSHAKE, PING)],
    ids=["pages", "stream"],
)
def test_clients_that_do_not_read_are_cut_off(tmp_path, first, repeated):
    with run_server(make_served(tmp_path, idle_s=0.2)) as address, connect_raw(address) as connection:
        connection.sendall(first)
        if first:
            assert connection.recv(12) == b"HTTP/1.1 101"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(repeated * 100)


def test_a_server_that_stops_gives_streams_their_results_and_says_so(tmp_path):
    served, rows = make_served(tmp_path), []
    samples = speak("कखग")
    with ExitStack() as after:
        with run_server(served) as address:
            stream = after.enter_context(connect(address.replace("http", "ws") + "/v1/stream"))
            stream.send(json.dumps({"type": "start", "sample_rate": RATE}))
            stream.send(np.round(samples * 32767).astype("<i2").tobytes())
            while not rows or rows[-1]["type"] != "partial":
                rows.append(json.loads(stream.recv(WAIT_S)))
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                rows.append(json.loads(stream.recv(WAIT_S)))
    assert [row["type"] for row in rows] == ["ready", "partial", "error", "final", "closed"]
    assert rows[2]["error"]["code"] == "stopped" and rows[-1]["received_samples"] == len(samples)
    assert rows[3]["text"] and closed.value.rcvd.code == 1012
    assert not served.streams and not served.engine.open_requests


class SlowRecogniser(FakeRecogniser):
    """Takes longer than a server that stops may."""

    def compute(self, waveforms, threads=None):
        self.computing.release()
        time.sleep(2.5)
        return super().compute(waveforms, threads)


def test_requests_that_are_not_done_in_time_are_told_so(tmp_path, caplog):
    served, answers = make_served(tmp_path, SlowRecogniser()), {}
    file = io.BytesIO()
    soundfile.write(file, speak("कखग"), RATE, format="WAV")

    def ask(streams):
        files, data = {"file": ("a.wav", file.getvalue())}, {"model": "tiny", "stream": streams}
        answers[streams] = httpx.post(f"{address}/v1/audio/transcriptions", files=files, data=data, timeout=WAIT_S)

    with ExitStack() as after:
        with run_server(served, shutdown_s=1.0) as address:
            half = after.enter_context(connect_raw(address))
            half.sendall(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n")
            half.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b")
            clients = [threading.Thread(target=ask, args=(streams,)) for streams in ("true", "false")]
            for client in clients:
                client.start()
            assert served.engine.recogniser.computing.acquire(timeout=WAIT_S)
            while served.engine.open_requests < 2:
                time.sleep(0.01)
        for client in clients:
            client.join(WAIT_S)
        with suppress(ConnectionResetError):
            assert half.recv(100) == b""
    assert [answers[streams].status_code for streams in ("true", "false")] == [503, 503]
    assert {answer.json()["error"]["code"] for answer in answers.values()} == {"stopped"}
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert not served.engine.open_requests and not served.uploads.path.exists()


def test_streams_have_ids_and_a_line_of_log(tmp_path, caplog):
    caplog.set_level(logging.INFO, "nemo_models.serving.requests")
    with run_server(make_served(tmp_path)) as address:
        headers = {"x-request-id": "mine-7"}
        with connect(address.replace("http", "ws") + "/v1/stream", additional_headers=headers) as stream:
            assert stream.response.headers["x-request-id"] == "mine-7"
            stream.send(json.dumps({"type": "start", "sample_rate": RATE}))
            stream.send(bytes(RATE))
            stream.send('{"type": "end"}')
            with suppress(ConnectionClosed):
                while True:
                    stream.recv(WAIT_S)
    (row,) = [json.loads(record.message) for record in caplog.records if "WEBSOCKET" in record.message]
    assert (row["id"], row["path"], row["status"], row["audio_s"]) == ("mine-7", "/v1/stream", 1000, 0.5)


def test_a_text_that_is_not_utf8_closes_a_stream_without_a_traceback(tmp_path, caplog):
    with ExitStack() as stack:
        address = stack.enter_context(run_server(make_served(tmp_path)))
        connection = stack.enter_context(connect(f"{address.replace('http', 'ws')}/v1/stream", compression=None))
        with connection.send_context():
            connection.protocol.send_text(b'{"type": "\xff"}')
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(WAIT_S)
    assert closed.value.rcvd.code == 1007
    assert not [record for record in caplog.records if record.exc_info]


def test_pages_of_other_sites_may_not_read_answers(tmp_path):
    with client_of(make_served(tmp_path)) as client:
        other = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
        for answer in (client.options("/v1/models", headers=other), client.get("/v1/models", headers=other)):
            assert not [name for name in answer.headers if name.startswith("access-control")]
