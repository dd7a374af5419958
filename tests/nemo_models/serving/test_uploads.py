"""Uploads: limits on size and waiting, clients that go away, and folders of killed servers."""

import os
import socket
import time
from contextlib import suppress

import httpx
import pytest

from nemo_models.serving.uploads import UploadFolder
from rest_client import PATH, error_of, make_wav, post
from serving_client import client_of, make_served, run_server


@pytest.fixture
def server(tmp_path):
    with client_of(make_served(tmp_path)) as client:
        yield client


def test_too_large_uploads_are_refused_while_they_come(server):
    assert error_of(post(server, bytes(2_000_001)), 413)["code"] == "file_too_large"
    assert error_of(post(server, bytes(4_000_000)), 413)["code"] == "file_too_large"
    sent = []

    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        while len(sent) < 1000:
            sent.append(1)
            yield bytes(1 << 20)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with suppress(httpx.WriteError, httpx.ReadError):  # the server hangs up while the client still sends
        error_of(server.post(PATH, content=endless(), headers=headers), 413)
    assert len(sent) < 500


def test_slow_uploads_end(tmp_path):
    with (
        run_server(make_served(tmp_path, idle_s=0.1)) as address,
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=60) as connection,
    ):
        head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--b\r\n".encode())
        assert b" 408 " in connection.recv(1000)


def test_a_client_that_goes_away_leaves_nothing(tmp_path):
    served = make_served(tmp_path)
    with (
        run_server(served) as address,
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=60) as connection,
    ):
        served.engine.recogniser.gate.clear()
        body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ntiny\r\n--b\r\n'
        body += (
            b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + make_wav()[0] + b"\r\n--b--\r\n"
        )
        head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert served.engine.recogniser.computing.acquire(timeout=60)
        connection.close()
        with served.engine._changed:
            assert served.engine._changed.wait_for(lambda: not served.engine.open_requests, 60)


def test_folders_of_killed_servers_are_removed(tmp_path):
    running, killed = UploadFolder(tmp_path), UploadFolder(tmp_path)
    (killed.path / "upload").write_bytes(b"1")
    killed._lock.close()  # as the system does when the process ends
    shared = running.path.parent
    for name, age_s in (("begun", 0), ("forgotten", 7200)):
        (shared / name).mkdir()
        os.utime(shared / name, (time.time() - age_s,) * 2)
    new = UploadFolder(tmp_path)
    assert running.path.exists() and new.path.exists() and not killed.path.exists()
    assert (shared / "begun").exists() and not (shared / "forgotten").exists()
    for folder in (running, new):
        folder.close()
