"""OpenAI's realtime transcription events, as its official client reads them."""

import base64
import json

import numpy as np
import openai
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fake_recogniser import FakeRecogniser, speak, word_of
from nemo_models.transcription.inputs import AudioInput
from serving_client import make_served, run_server

RATE = 24_000
WAIT_S = 60
TRANSCRIPTION = "conversation.item.input_audio_transcription"
BUFFER = "input_audio_buffer"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    served = make_served(tmp_path_factory.mktemp("uploads"))
    with run_server(served) as address:
        yield served, address


def as_pcm(samples):
    return np.round(samples * 32767).astype("<i2").tobytes()


def connect_client(address, **query):
    client = openai.OpenAI(api_key="any", base_url=f"{address}/v1", max_retries=0)
    return client.realtime.connect(extra_query={"intent": "transcription", **query})


def append(connection, content, size=7001):
    """Send audio in messages that cut samples in two."""
    for first in range(0, len(content), size):
        connection.input_audio_buffer.append(audio=base64.b64encode(content[first : first + size]).decode())


def read_until(connection, kind, count=1):
    events = []
    while sum(event.type == kind for event in events) < count:
        events.append(connection.recv())
        assert events[-1].event_id.startswith("event_")
        assert events[-1].type != "error" or kind == "error", events[-1]
    return events


def types_of(events):
    return [event.type.removeprefix(f"{TRANSCRIPTION}.") for event in events if not event.type.endswith("delta")]


def test_the_official_client_gets_turns_deltas_and_texts_of_the_same_samples(server, tmp_path):
    served, address = server
    quiet = np.zeros(round(1.7 * RATE), np.float32)
    samples = np.concatenate([speak("कखग", 0.4, RATE), quiet, speak("घच क", 0.3, RATE), quiet])
    with connect_client(address) as connection:
        created = connection.recv()
        assert created.type == "session.created" and created.session.type == "transcription"
        assert created.session.audio.input.turn_detection.silence_duration_ms == 800
        transcription = {"model": "whisper-1", "language": "hi", "prompt": "दो, तीन"}
        turns = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 600}
        audio = {"format": {"type": "audio/pcm", "rate": RATE}, "transcription": transcription, "turn_detection": turns}
        connection.session.update(session={"type": "transcription", "audio": {"input": audio}})
        updated = connection.recv()
        assert updated.type == "session.updated" and updated.session.audio.input.transcription.prompt == "दो, तीन"
        assert updated.session.audio.input.turn_detection.silence_duration_ms == 600
        content = as_pcm(samples)
        append(connection, content[: 3 * RATE])
        events = read_until(connection, f"{TRANSCRIPTION}.delta")
        append(connection, content[3 * RATE :])
        events += read_until(connection, f"{TRANSCRIPTION}.completed", 2)
    turn = [f"{BUFFER}.speech_started", f"{BUFFER}.speech_stopped", f"{BUFFER}.committed", "conversation.item.added"]
    assert types_of(events) == 2 * [*turn, "completed"]
    whole, place, previous = np.frombuffer(as_pcm(samples), "<i2"), 0, None
    for begin, end in ((0, 5), (5, 10)):
        started, stopped, committed, added, completed = [event for event in events if not event.type.endswith("delta")][
            begin:end
        ]
        assert started.item_id == stopped.item_id == committed.item_id == added.item.id == completed.item_id
        assert committed.previous_item_id == previous
        previous = committed.item_id
        first, last = (round(place * RATE) for place in (place, stopped.audio_end_ms / 1000))
        assert started.audio_start_ms == round(1000 * place)
        place = stopped.audio_end_ms / 1000
        assert completed.usage.seconds == pytest.approx((last - first) / RATE, abs=2e-3)
        soundfile.write(tmp_path / "part.wav", whole[first:last], RATE, subtype="PCM_16")
        offline = served.engine.submit(AudioInput(tmp_path / "part.wav")).transcript.result(WAIT_S)
        assert completed.transcript == offline.text != "" and completed.words[0]["confidence"] == 0.75
        deltas = [event.delta for event in events if event.type.endswith("delta") and event.item_id == previous]
        assert {0: "कखग", 5: "घचक"}[begin].startswith("".join(deltas)) and (deltas or begin)


def test_without_turn_detection_the_client_ends_utterances(server):
    _, address = server
    samples = np.concatenate([speak("कख", 0.4, RATE), np.zeros(3 * RATE, np.float32), speak("ग", 0.4, RATE)])
    with connect_client(address, model="tiny") as connection:
        connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        connection.input_audio_buffer.commit(event_id="mine")
        error = read_until(connection, "error")[-1].error
        assert (error.code, error.event_id, error.type) == (
            "input_audio_buffer_commit_empty",
            "mine",
            "invalid_request_error",
        )
        append(connection, as_pcm(speak("झ", 1.0, RATE)))
        connection.input_audio_buffer.clear()
        read_until(connection, f"{BUFFER}.cleared")
        append(connection, as_pcm(samples))
        connection.input_audio_buffer.commit()
        events = read_until(connection, f"{TRANSCRIPTION}.completed")
    assert types_of(events) == [f"{BUFFER}.committed", "conversation.item.added", "completed"]
    assert events[-1].usage.seconds == pytest.approx(len(samples) / RATE, abs=1e-3) and events[-1].transcript


@pytest.mark.parametrize(("name", "subtype"), [("g711_ulaw", "ULAW"), ("g711_alaw", "ALAW")])
def test_events_of_the_beta(server, tmp_path, name, subtype):
    _, address = server
    soundfile.write(tmp_path / "a.wav", speak("कख", 0.5, 8_000), 8_000, subtype=subtype)
    content = (tmp_path / "a.wav").read_bytes()[-8_000:]
    url = address.replace("http", "ws") + "/v1/realtime?intent=transcription"
    with connect(url, additional_headers={"OpenAI-Beta": "realtime=v1"}) as connection:

        def receive():
            return json.loads(connection.recv(WAIT_S))

        assert receive()["type"] == "transcription_session.created"
        session = {
            "input_audio_format": name,
            "input_audio_transcription": {"model": "whisper-1"},
            "turn_detection": None,
        }
        connection.send(json.dumps({"type": "transcription_session.update", "session": session}))
        row = receive()
        assert row["type"] == "transcription_session.updated" and row["session"]["audio"]["input"]["format"]["type"]
        connection.send(json.dumps({"type": f"{BUFFER}.append", "audio": base64.b64encode(content).decode()}))
        connection.send(json.dumps({"type": f"{BUFFER}.commit"}))
        rows = [receive()]
        while rows[-1]["type"] != f"{TRANSCRIPTION}.completed":
            rows.append(receive())
    kinds = [row["type"] for row in rows if not row["type"].endswith("delta")]
    assert kinds == [f"{BUFFER}.committed", "conversation.item.created", f"{TRANSCRIPTION}.completed"]
    assert rows[-1]["usage"]["seconds"] == 1.0 and rows[-1]["transcript"]


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"type": "response.create"}, "type"),
        ({"type": f"{BUFFER}.append", "audio": "not base64!"}, "audio"),
        ({"type": f"{BUFFER}.append"}, "audio"),
        ({"type": "session.update"}, "session"),
        ({"type": "\ud800"}, "type"),
        ({"type": "session.update", "session": {"\ud800": 1, "type": "transcription"}}, "session.\ud800"),
        ({"type": "session.update", "session": {"input_audio_format": ["pcm16"]}}, "input_audio_format"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
        ({"type": "session.update", "session": {"type": "transcription", "voice": "a"}}, "session.voice"),
        ({"type": "session.update", "session": {"include": ["logprobs"], "type": "transcription"}}, "session.include"),
    ],
)
def test_a_wrong_event_is_answered_and_ends_nothing(server, event, param):
    _, address = server
    with connect(address.replace("http", "ws") + "/v1/realtime?intent=transcription") as connection:
        connection.recv(WAIT_S)
        for wrong, expected in ((json.dumps({**event, "event_id": "e1"}), param), ("{", None)):
            connection.send(wrong)
            row = json.loads(connection.recv(WAIT_S))
            assert row["type"] == "error" and row["error"]["param"] == expected
            assert row["error"]["event_id"] == ("e1" if expected else None)
        connection.send(json.dumps({"type": f"{BUFFER}.clear"}))
        assert json.loads(connection.recv(WAIT_S))["type"] == f"{BUFFER}.cleared"


@pytest.mark.parametrize(
    "given",
    [
        {"format": {"type": "audio/mp3"}},
        {"format": {"type": ["audio/pcm"]}},
        {"transcription": {"language": "\ud800"}},
        {"format": {"type": "audio/pcm", "rate": 96_000}},
        {"noise_reduction": {"type": "near_field"}},
        {"transcription": {"model": "other"}},
        {"transcription": {"language": "en"}},
        {"transcription": {"prompt": 3}},
        {"turn_detection": {"type": "semantic_vad"}},
        {"turn_detection": {"type": "server_vad", "threshold": 2}},
        {"turn_detection": {"type": "server_vad", "silence_duration_ms": 1}},
        {"turn_detection": 3},
        {"more": 1},
    ],
)
def test_a_wrong_setting_is_named_and_changes_nothing(server, given):
    _, address = server
    with connect_client(address) as connection:
        before = connection.recv().session
        connection.session.update(session={"type": "transcription", "audio": {"input": given}})
        error = connection.recv().error
        assert error.code == "invalid_value" and next(iter(given)) in error.param and "expected" in error.message
        connection.session.update(session={"type": "transcription"})
        assert connection.recv().session == before


def test_settings_that_audio_fixes(server):
    _, address = server
    with connect_client(address) as connection:
        append(connection, as_pcm(speak("कख", 0.4, RATE)))
        connection.session.update(
            session={"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
        )
        assert read_until(connection, "error")[-1].error.code == "session_has_audio"
        connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        assert read_until(connection, "session.updated")[-1].session.audio.input.turn_detection is None


def test_an_utterance_that_fails_is_said_to_have_failed(tmp_path):
    samples = np.frombuffer(as_pcm(speak("कख", 0.5, 16_000)), "<i2")
    recogniser = FakeRecogniser()
    recogniser.poison = word_of(samples.astype(np.float32) / 32768)
    with run_server(make_served(tmp_path, recogniser)) as address, connect_client(address) as connection:
        audio = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None}
        connection.session.update(session={"type": "transcription", "audio": {"input": audio}})
        append(connection, samples.tobytes(), 200_000)
        connection.input_audio_buffer.commit()
        events = read_until(connection, f"{TRANSCRIPTION}.failed")
        assert types_of(events)[-3:] == [f"{BUFFER}.committed", "conversation.item.added", "failed"]
        assert events[-1].error.type == "server_error" and events[-1].item_id == events[-2].item.id


def test_who_is_not_let_in(server, tmp_path):
    _, address = server
    for query in ("", "?intent=conversation", "?intent=transcription&model=other"):
        with connect(address.replace("http", "ws") + f"/v1/realtime{query}") as connection:
            assert json.loads(connection.recv(WAIT_S))["error"]["code"] == "invalid_value"
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(WAIT_S)
            assert closed.value.rcvd.code == 1008
    with run_server(make_served(tmp_path, idle_s=2.0, max_streams=1)) as address, connect_client(address) as first:
        assert first.recv().type == "session.created"
        first.send({"type": "session.update", "session": {"type": "transcription"}})
        assert first.recv().type == "session.updated"
        with connect_client(address) as second:
            assert second.recv().error.code == "busy"
        assert first.recv().error.code == "idle"
