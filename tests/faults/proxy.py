"""An HTTP proxy that hurts what passes through it, for tests of what S3 and the network do to a job."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.faults.plan import BODY_FAULTS, Fault, FaultPlan, Seen

_ANSWERS = {
    Fault.ERROR: (500, "InternalError", "We encountered an internal error. Please try again."),
    Fault.SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
    Fault.CONFLICT: (409, "ConditionalRequestConflict", "A conflicting operation occurred."),
    Fault.GONE: (404, "NoSuchUpload", "The specified upload does not exist."),
    Fault.EXPIRED: (400, "ExpiredToken", "The provided token has expired."),
    Fault.DENIED: (403, "AccessDenied", "Access Denied."),
    Fault.WRONG_KEY: (403, "InvalidAccessKeyId", "The AWS Access Key Id does not exist in our records."),
    Fault.UNSUPPORTED: (501, "NotImplemented", "A header implies functionality that is not implemented."),
}

_OF_ONE_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "proxy-connection", "te", "upgrade"}
)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class FaultyS3:
    """A proxy on 127.0.0.1 in front of an S3 server; use it with `with`, and its `url` as the endpoint.

    What happens to the n-th request of a method and path follows from the seed, these and n alone, so it does not
    depend on how threads and processes take turns. Faults given by `script` come first.
    """

    def __init__(
        self,
        upstream_url: str,
        *,
        error_rate: float = 0.0,
        lost_rate: float = 0.0,
        reset_rate: float = 0.0,
        truncate_rate: float = 0.0,
        delay_rate: float = 0.0,
        delay_s: float = 0.1,
        honours_conditions: bool = True,
        seed: int = 0,
    ) -> None:
        """Rates are parts of all requests, from 0 to 1; half of the errors are 500, half 503 SlowDown.

        Args:
            upstream_url: ``http://host:port`` of the server.
            error_rate: answered with an error instead of being forwarded.
            lost_rate: forwarded, but the answer is lost.
            reset_rate: connections reset before anything is forwarded.
            truncate_rate: GETs whose answer's body ends early.
            delay_rate: forwarded after `delay_s` seconds.
            delay_s: of delays, seconds.
            honours_conditions: False: If-None-Match and If-Match are left out, as some look-alikes do.
            seed: of all chance.
        """
        rates = {
            Fault.ERROR: error_rate / 2,
            Fault.SLOW_DOWN: error_rate / 2,
            Fault.LOST: lost_rate,
            Fault.RESET: reset_rate,
            Fault.TRUNCATE: truncate_rate,
            Fault.DELAY: delay_rate,
        }
        self.plan = FaultPlan(rates, seed)
        self.delay_s, self.honours_conditions = delay_s, honours_conditions
        upstream = urlsplit(upstream_url)
        self._server = _Server(self, (upstream.hostname or "", upstream.port or 80))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def seen(self) -> list[Seen]:
        """All requests so far, in order of their arrival, and what was done to each."""
        return self.plan.seen

    @property
    def counts(self) -> Counter[Fault]:
        """How many requests met each fault."""
        return Counter(seen.fault for seen in self.seen)

    def script(self, *faults: Fault, method: str = "", path: str = "") -> None:
        """Each of `faults`, in order, meets one request of `method`, if given, with `path` in its path."""
        self.plan.script(faults, method, path)

    def forget(self) -> None:
        """Drop the script and what was seen, so that another test can go on with this proxy."""
        self.plan.forget()


class _Server(ThreadingHTTPServer):
    """One thread per connection; all of them end with the server."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, proxy: FaultyS3, upstream: tuple[str, int]) -> None:
        self.proxy, self.upstream = proxy, upstream
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        with self._open_lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.discard(request)

    def server_close(self) -> None:
        with self._open_lock:
            # Clients keep idle connections; their threads wait for a next request.
            for request in self._open:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the game; anything else is a mistake in here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        body = self._request_body()
        proxy = self.server.proxy
        fault = proxy.plan.next(self.command, self.path)
        if fault in _ANSWERS:
            self._send(_error(*_ANSWERS[fault]))
        elif fault is Fault.RESET:
            self._reset()
        elif fault is Fault.SILENCE:
            self._until_hung_up()
        elif fault is Fault.LOST:
            self._forward(body)
            self._reset()
        elif fault is Fault.LOST_LATE:
            self._reset()
            time.sleep(proxy.delay_s)
            self._forward(body)
        else:
            if fault is Fault.DELAY:
                time.sleep(proxy.delay_s)
            answer = self._forward(body)
            if fault in BODY_FAULTS and answer.body and self.command != "HEAD":
                self._send_badly(answer, fault)
            else:
                self._send(answer)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815 - the base class's names

    def _request_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass  # trailers
        return b"".join(chunks)

    def _forward(self, body: bytes) -> _Answer:
        skipped = _OF_ONE_CONNECTION | {"content-length", "expect"}
        if not self.server.proxy.honours_conditions:
            skipped |= {"if-none-match", "if-match"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
        with contextlib.closing(http.client.HTTPConnection(*self.server.upstream, timeout=60)) as upstream:
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            response = upstream.getresponse()
            kept = [
                (name, value) for name, value in response.getheaders() if name.lower() not in _OF_ONE_CONNECTION
            ]
            return _Answer(response.status, kept, response.read())

    def _head(self, answer: _Answer) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if not any(name.lower() == "content-length" for name, _ in answer.headers) and answer.status != 204:
            lines.append(f"Content-Length: {len(answer.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _send(self, answer: _Answer) -> None:
        self.wfile.write(self._head(answer) + (b"" if self.command == "HEAD" else answer.body))

    def _send_badly(self, answer: _Answer, fault: Fault) -> None:
        body, half = answer.body, len(answer.body) // 2
        self.close_connection = True
        if fault is Fault.FLIP:
            self.wfile.write(self._head(answer) + body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :])
        else:
            self.wfile.write(self._head(answer) + (b"" if fault is Fault.EMPTY else body[:half]))
            if fault is Fault.STALL:
                self._until_hung_up()

    def _until_hung_up(self) -> None:
        self.close_connection = True
        self.connection.settimeout(None)
        self.rfile.read(1)

    def _reset(self) -> None:
        """End the connection so that the client sees a reset, not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The file that is read from holds the socket open as long as it lives.
        self.rfile.close()
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: `seen` tells."""


def _error(status: int, code: str, message: str) -> _Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return _Answer(status, [("Content-Type", "application/xml")], body.encode())
