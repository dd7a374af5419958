"""The web server: uvicorn, with a time limit for idle connections, and an end for streams when the server stops.

uvicorn waits without a limit for the first request of a connection, for the rest of a request's head, and for a client
that does not read the response. Here each of these waits has the same limit.
"""

import asyncio
import math
import socket
import time
from collections.abc import Collection
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nemo_models.serving.served_model import ServedModel

MESSAGE_BYTES = 4 << 20  # the largest message of a stream; a minute of speech in base64
NOT_UTF8 = 1007  # code of closing
CHECKS = 4  # in the time that a connection may do nothing
DRAIN_S = 0.05  # between two looks whether streams and requests have ended
GIVEN_UP_S = 2.0  # for a request that is not done in time, to send that it is not


class _WatchedConnection:
    """What both protocols share: a look at the connection, several times in `timeout_keep_alive` seconds."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    config: uvicorn.Config

    def watch(self) -> None:
        """Begin to look."""
        self._used_at = self._read_at = self.loop.time()
        self._is_full = self.is_lost = False
        self._look_later()

    def note_writing(self, is_full: bool) -> None:
        """Note whether the client reads what it gets."""
        self._is_full, self._read_at = is_full, self.loop.time()

    def is_used(self) -> bool:
        """Whether a request is being answered."""
        raise NotImplementedError

    def _look_later(self) -> None:
        self.loop.call_later(self.config.timeout_keep_alive / CHECKS, self._look)

    def _look(self) -> None:
        transport, now, most_s = self.transport, self.loop.time(), self.config.timeout_keep_alive
        if self.is_lost or transport.get_protocol() is not self:
            return  # it has ended, or become a websocket
        if self.is_used() and not transport.is_closing():
            self._used_at = now
        if now - self._used_at > most_s or (self._is_full and now - self._read_at > most_s):
            transport.abort()  # what was not read would keep it open
            return
        self._look_later()


class HttpConnection(_WatchedConnection, H11Protocol):
    """An HTTP connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Overrides uvicorn's method: also begin to watch."""
        H11Protocol.connection_made(self, transport)
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Overrides uvicorn's method: also stop watching."""
        self.is_lost = True
        H11Protocol.connection_lost(self, exc)

    def pause_writing(self) -> None:
        """Overrides uvicorn's method: also note the time."""
        H11Protocol.pause_writing(self)
        self.note_writing(True)

    def resume_writing(self) -> None:
        """Overrides uvicorn's method: also note the time."""
        H11Protocol.resume_writing(self)
        self.note_writing(False)

    def is_used(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete


class StreamSocket(_WatchedConnection, WebSocketsSansIOProtocol):
    """A websocket connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Overrides uvicorn's method: also begin to watch."""
        WebSocketsSansIOProtocol.connection_made(self, cast(asyncio.Transport, transport))
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Overrides uvicorn's method: also stop watching."""
        self.is_lost = True
        WebSocketsSansIOProtocol.connection_lost(self, exc)

    def pause_writing(self) -> None:
        """Overrides uvicorn's method: also note the time."""
        WebSocketsSansIOProtocol.pause_writing(self)
        self.note_writing(True)

    def resume_writing(self) -> None:
        """Overrides uvicorn's method: also note the time."""
        WebSocketsSansIOProtocol.resume_writing(self)
        self.note_writing(False)

    def send_receive_event_to_app(self) -> None:
        """Overrides uvicorn's method: a text that is not UTF-8 closes the connection, without a traceback."""
        try:
            if self.curr_msg_data_type == "text" and not self.close_sent:
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self.conn.send_close(NOT_UTF8)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def is_used(self) -> bool:
        """Whether it is open; `StreamConnection` ends one without messages."""
        return not self.close_sent and not self.disconnected


class WebServer(uvicorn.Server):
    """A server that stops in order: streams get their last results, requests their answers, and nothing is canceled."""

    def __init__(self, config: uvicorn.Config, served: ServedModel) -> None:
        """Set up.

        Args:
            config: uvicorn's configuration; its `timeout_graceful_shutdown` is for streams and requests together.
            served: What is served.
        """
        super().__init__(config)
        self._served = served

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Overrides uvicorn's method: take nothing new, end the streams, then the requests, then the rest.

        Requests that are not done in time are answered with `stopped`. uvicorn would cancel them: 500, and a traceback.
        A second Ctrl-C ends the time at once.
        """
        end = time.monotonic() + float(self.config.timeout_graceful_shutdown or 0)
        for server in self.servers:
            server.close()
        self._served.stop_streams()
        await self._wait_for(self._served.streams, end)
        for connection in list(self.server_state.connections):
            if not isinstance(connection, StreamSocket):
                connection.shutdown()  # no further request; the one that is being answered goes on
        await self._wait_for(self.server_state.tasks, end)
        if self.server_state.tasks:
            await self._give_up()
        self.force_exit = False  # it would leave out the end of the application: its folder and its processes
        self.config.timeout_graceful_shutdown = math.ceil(GIVEN_UP_S)
        await super().shutdown(sockets)

    async def _give_up(self) -> None:
        """Answer what waits for the model with `stopped`; cut off who is still sending, or does not read."""
        tasks, self.force_exit = self.server_state.tasks, False
        await asyncio.to_thread(self._served.engine.close, 0)
        await self._wait_for(tasks, time.monotonic() + GIVEN_UP_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self._wait_for(tasks, time.monotonic() + GIVEN_UP_S)

    async def _wait_for(self, open_ones: Collection[object], end: float) -> None:
        """Wait until nothing is open any more, a time, or a second Ctrl-C."""
        while open_ones and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(DRAIN_S)


def make_server(
    application: FastAPI, served: ServedModel, host: str, port: int, shutdown_s: float = 30.0, **settings: Any
) -> WebServer:
    """Make the server of an application.

    Args:
        application: The application.
        served: What it serves; `upload_limits.idle_s` is how long a connection may do nothing.
        host: Address to listen on.
        port: Port; 0 is one that the system chooses.
        shutdown_s: Seconds that streams and requests get to end.
        settings: Further settings of uvicorn.
    """
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="asyncio",  # the same with and without uvloop, which Ray Serve brings
        http=HttpConnection,
        ws=StreamSocket,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=served.upload_limits.idle_s,  # type: ignore[arg-type]  # uvicorn passes it to call_later
        timeout_graceful_shutdown=round(max(1.0, shutdown_s)),
        ws_max_size=MESSAGE_BYTES,
        **settings,
    )
    return WebServer(config, served)
