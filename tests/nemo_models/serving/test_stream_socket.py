"""Live streams at /v1/stream: every sample accounted for, finals that equal the batch job, faults that harm nobody."""

import json
import random
import socket
import time
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from fake_recogniser import FakeRecogniser, speak
from nemo_models.transcription.inputs import AudioInput
from serving_client import make_served, run_server

WAIT_S = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    served = make_served(tmp_path_factory.mktemp("uploads"))
    with run_server(served) as address:
        yield served, address.replace("http", "ws") + "/v1/stream"


@contextmanager
def open_stream(address, **start):
    with connect(address, max_size=None, compression=None) as connection:
        if start:
            connection.send(json.dumps({"type": "start", **start}))
            assert json.loads(connection.recv(WAIT_S))["type"] == "ready"
        yield connection


def read_all(connection):
    """All messages until the server closes."""
    rows = []
    try:
        while True:
            rows.append(json.loads(connection.recv(WAIT_S)))
    except ConnectionClosed:
        return rows


def check_account(rows, received):
    """Finals, silences and errors with a place cover every sample once, in order."""
    places = [(row["start_sample"], row["end_sample"]) for row in rows if row["type"] != "partial" and "start" in row]
    assert [start for start, _ in places] == [0, *(end for _, end in places[:-1])][: len(places)]
    assert (places[-1][1] if places else 0) == received == rows[-1]["received_samples"]
    assert rows[-1]["type"] == "closed"


def encode(samples, encoding):
    """Bytes as a client sends them."""
    if encoding == "float32":
        return samples.astype("<f4").tobytes()
    if encoding == "pcm16":
        return np.round(samples * 32767).astype("<i2").tobytes()
    return np.random.default_rng(0).integers(0, 256, len(samples)).astype(np.uint8).tobytes()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("encoding", ["pcm16", "float32"])
def test_finals_are_the_texts_of_the_same_samples_and_nothing_is_lost(server, tmp_path, rate, encoding):
    served, address = server
    quiet = np.zeros(round(1.7 * rate), np.float32)
    speech = [speak("कखग", 0.4, rate), speak("घच क", 0.3, rate)]
    samples = np.concatenate([quiet, quiet, speech[0], quiet, speech[1], quiet, speak("ट", 0.3, rate)])
    content, sizes = encode(samples, encoding), random.Random(0)
    with open_stream(address, sample_rate=rate, encoding=encoding) as connection:
        at = 0
        while at < len(content):
            size = sizes.randint(1, 9999)  # samples are cut in two as well
            connection.send(content[at : at + size])
            at += size
        connection.send('{"type": "end"}')
        rows = read_all(connection)
    check_account(rows, len(samples))
    finals = [row for row in rows if row["type"] == "final"]
    assert len(finals) == 3 and {row["type"] for row in rows} - {"partial"} == {"final", "silence", "closed"}
    whole = np.frombuffer(content, "<i2" if encoding == "pcm16" else "<f4")
    for number, row in enumerate(finals):
        path = tmp_path / f"{number}.wav"
        part = whole[row["start_sample"] : row["end_sample"]]
        soundfile.write(path, part, rate, subtype="PCM_16" if encoding == "pcm16" else "FLOAT")
        offline = served.engine.submit(AudioInput(path)).transcript.result(WAIT_S)
        assert row["text"] == offline.text != ""
        assert row["words"][0]["start"] == pytest.approx(row["start"], abs=1e-3)
        assert row["words"][-1]["end"] == pytest.approx(row["end"], abs=2e-3)


def test_partial_results_show_the_text_so_far(server):
    _, address = server
    with open_stream(address, sample_rate=16_000) as connection:
        for letters, text in (("कखग", "कखग"), ("घच", "कखगघच"), (" क", "कखगघचक")):
            connection.send(encode(speak(letters), "pcm16"))
            row = json.loads(connection.recv(WAIT_S))
            assert (row["type"], row["text"], row["start"]) == ("partial", text, 0.0)
        connection.send('{"type": "end"}')
        final, closed = read_all(connection)
    assert (final["type"], final["end"], closed["reason"]) == ("final", 2.1, "end")


def test_mulaw_and_big_messages(server):
    _, address = server
    with open_stream(address, sample_rate=8000, encoding="mulaw") as connection:
        connection.send(encode(np.zeros(500_000), "mulaw"))
        connection.send('{"type": "end"}')
        rows = read_all(connection)
    check_account(rows, 500_000)
    assert max(row["end"] - row["start"] for row in rows if row["type"] == "final") < 45


def test_finalize_ends_an_utterance_at_once_and_keepalive_nothing(server):
    _, address = server
    with open_stream(address, sample_rate=16_000) as connection:
        connection.send('{"type": "keepalive"}')
        for text in ("finalize", "finalize", "end"):
            if text != "end":
                connection.send(encode(speak("कखग"), "pcm16"))
            connection.send(json.dumps({"type": text}))
        rows = read_all(connection)
    assert [row["end"] for row in rows if row["type"] == "final"] == [0.9, 1.8]
    check_account(rows, 2 * 14_400)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_message"),
        ("[]", "invalid_message"),
        ('{"type": "stop"}', "invalid_message"),
        ('{"type": ["start"]}', "invalid_message"),
        ('{"type": "start"}', "started_already"),
        (b"", None),
        (b"\x01", None),
    ],
)
def test_a_wrong_message_ends_the_stream_and_what_was_heard_has_its_final(server, message, code):
    _, address = server
    with open_stream(address, sample_rate=16_000) as connection:
        connection.send(encode(speak("कखग"), "pcm16"))
        connection.send(message)
        if code is None:
            connection.send('{"type": "end"}')
        rows = read_all(connection)
    assert [row["error"]["code"] for row in rows if row["type"] == "error"] == ([code] if code else [])
    check_account([row for row in rows if row["type"] != "error"], 14_400)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (b"audio", "audio: expected the message start first"),
        ('{"type": "end"}', "type=end: expected the message start first"),
        ('{"type": "start", "sample_rate": 7999}', "sample_rate=7999: expected a whole number from 8000 to 48000"),
        ('{"type": "start", "sample_rate": "16000"}', "sample_rate='16000': expected"),
        ('{"type": "start", "sample_rate": true}', "sample_rate=True: expected"),
        ('{"type": "start", "encoding": "opus"}', "encoding='opus': expected one of pcm16, float32, mulaw"),
        ('{"type": "start", "encoding": {}}', "encoding={}: expected one of"),
    ],
)
def test_a_wrong_beginning_is_named(server, first, message):
    _, address = server
    with open_stream(address) as connection:
        connection.send(first)
        error, closed = read_all(connection)
    assert error["type"] == "error" and error["error"]["message"].startswith(message)
    assert closed["type"] == "closed" and closed["received_samples"] == 0


def test_samples_that_are_no_numbers_are_refused(server):
    _, address = server
    with open_stream(address, encoding="float32") as connection:
        connection.send(np.array([0.0, np.nan], "<f4").tobytes())
        error, closed = read_all(connection)
    assert error["error"]["code"] == "not_finite_audio" and closed["received_samples"] == 0


def test_idle_streams_end_with_a_word(tmp_path):
    with run_server(make_served(tmp_path, idle_s=0.2)) as address:
        with open_stream(address.replace("http", "ws") + "/v1/stream") as connection:
            error, closed = read_all(connection)
        assert error["error"]["code"] == closed["reason"] == "idle"


def test_limits_on_streams_and_their_length(tmp_path):
    served = make_served(tmp_path, limits={"max_audio_s": 5.0}, max_streams=1)
    with run_server(served) as address:
        address = address.replace("http", "ws") + "/v1/stream"
        with open_stream(address, sample_rate=8000) as first:
            with open_stream(address) as second:
                assert read_all(second)[0]["error"]["code"] == "busy"
            first.send(bytes(2 * 8000 * 4))
            first.send(bytes(2 * 8000 * 2))
            rows = read_all(first)
        assert rows[-1]["reason"] == "too_long"
        check_account([row for row in rows if row["type"] != "error"], 8000 * 5)


def test_connections_that_never_start_keep_no_stream_out_and_are_closed(tmp_path):
    served = make_served(tmp_path, max_streams=2)
    with run_server(served) as address, ExitStack() as left:
        address = address.replace("http", "ws") + "/v1/stream"
        silent = [left.enter_context(open_stream(address)) for _ in range(6)]
        for _ in range(2):
            left.enter_context(open_stream(address, sample_rate=16_000))
        for connection in silent[:4]:
            error, closed = read_all(connection)
            assert error["error"]["code"] == closed["reason"] == "busy" and "do not start" in error["error"]["message"]
        silent[5].send('{"type": "start"}')
        assert read_all(silent[5])[0]["error"]["code"] == "busy", "two streams have begun"


def test_a_start_that_does_not_come_is_not_waited_for(tmp_path):
    with (
        run_server(make_served(tmp_path, start_timeout_s=0.3)) as address,
        open_stream(address.replace("http", "ws") + "/v1/stream") as connection,
    ):
        error, closed = read_all(connection)
    assert error["error"]["message"].startswith("stream: found no start within 0.3 s") and closed["reason"] == "idle"


def test_keys_and_pages_of_other_sites(tmp_path):
    with run_server(make_served(tmp_path), keys=["one"]) as address:
        ws = address.replace("http", "ws") + "/v1/stream"
        wrong = [{}, {"Authorization": "Bearer two"}]
        wrong += [{"Authorization": "Bearer one", "Origin": origin} for origin in ("https://a.b", "http://[", "null")]
        for headers in wrong:
            with pytest.raises(InvalidStatus), connect(ws, additional_headers=headers):
                pass
        for headers in ({"Authorization": "Bearer one"}, {"Authorization": "Bearer one", "Origin": address}):
            with connect(ws, additional_headers=headers) as connection:
                connection.send('{"type": "start"}')
                assert json.loads(connection.recv(WAIT_S))["type"] == "ready"


def test_a_full_queue_delays_a_final_and_loses_nothing(tmp_path):
    served = make_served(tmp_path, FakeRecogniser(), {"max_requests": 1})
    soundfile.write(tmp_path / "a.wav", speak("क"), 16_000)
    with (
        run_server(served) as address,
        open_stream(address.replace("http", "ws") + "/v1/stream", sample_rate=16_000) as connection,
    ):
        gate = served.engine.recogniser.gate
        gate.clear()
        task = served.engine.submit(AudioInput(tmp_path / "a.wav"))
        connection.send(encode(speak("क", 0.3), "pcm16"))  # too little for a partial result: only the final waits
        connection.send('{"type": "end"}')
        gate.set()
        rows = read_all(connection)
    assert task.transcript.result(WAIT_S).text
    check_account(rows, 4800)
    assert rows[0]["type"] == "final"


def test_clients_that_go_away_and_random_messages_leave_a_server_that_works(server):
    served, address = server
    generator = random.Random(0)
    texts = ["{", "null", '{"type": "finalize"}', '{"type": "keepalive"}', '{"type": "start"}', "[" * 2000, "é"]
    for _ in range(40):
        start = {"sample_rate": 16_000} if generator.random() < 0.8 else {}
        with suppress(ConnectionClosed), open_stream(address, **start) as connection:
            for _ in range(generator.randint(0, 12)):
                is_audio = generator.random() < 0.7
                connection.send(
                    generator.randbytes(generator.randint(0, 5000)) if is_audio else generator.choice(texts)
                )
            with suppress(OSError):  # the server may have closed it already
                connection.socket.shutdown(socket.SHUT_RDWR)  # without a goodbye
    with open_stream(address, sample_rate=16_000) as connection:
        connection.send(encode(speak("कखग"), "pcm16"))
        connection.send('{"type": "end"}')
        check_account(read_all(connection), 14_400)
    for _ in range(600):  # the server notices when it next reads or writes
        if not served.streams:
            break
        time.sleep(0.1)
    assert not served.streams and served.engine.open_requests == 0
