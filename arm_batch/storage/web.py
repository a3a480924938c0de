"""Objects on web servers, to be read: their keys are whole URLs. What fails there is one image's fault."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from arm_batch.errors import ObjectError, UsageError
from arm_batch.storage.base import ObjectInfo
from arm_batch.storage.retry import RetryPolicy

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

WEB_RETRY_POLICY = RetryPolicy(
    attempts=4, first_wait_s=0.5, longest_wait_s=8.0, total_s=60.0, connect_s=10.0, read_s=30.0
)
"""Less patience than with the run's own store: of a list of many servers some are down for good."""

MOST_BYTES = 1 << 30
"""Of one image: a server may go on forever."""

_CONNECTIONS = 16
_REDIRECTS = 5
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_HEAD = frozenset({400, 403, 405, 501})
"""What servers answer that do not take HEAD."""


@dataclass(frozen=True)
class WebStore:
    """Reads ``http://`` and ``https://`` URLs; see `Readable`.

    Attributes:
        retry_policy: time-outs, and how often a request is repeated.
    """

    retry_policy: RetryPolicy = field(default=WEB_RETRY_POLICY, compare=False)

    @property
    def url(self) -> str:
        """Keys are complete by themselves."""
        return ""

    def stat(self, key: str) -> ObjectInfo:
        """Size and ETag, by HEAD, or by a GET of one byte where a server has no HEAD."""

        def attempt() -> ObjectInfo:
            client = _client(self.retry_policy.connect_s, self.retry_policy.read_s)
            answer = client.head(key)
            if answer.status_code in _NO_HEAD or (answer.is_success and "content-length" not in answer.headers):
                with client.stream("GET", key, headers={"Range": "bytes=0-0"}) as short:
                    return _info(key, short)
            return _info(key, answer)

        return self._repeated(attempt, key)

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object."""

        def attempt() -> tuple[bytes, ObjectInfo]:
            data = bytearray()
            with _client(self.retry_policy.connect_s, self.retry_policy.read_s).stream("GET", key) as answer:
                _check(key, answer)
                for piece in answer.iter_raw():
                    data += piece
                    if len(data) > MOST_BYTES:
                        raise ObjectError(key, f"is larger than {MOST_BYTES >> 30} GiB")
            return bytes(data), ObjectInfo(key, len(data), _etag(answer))

        return self._repeated(attempt, key)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """The whole object, read at once."""
        data, now = self.fetch(info.key)
        if (now.size, now.etag) != (info.size, info.etag):
            raise FileNotFoundError(info.key)
        return io.BytesIO(data)

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """A part of the object, of which all is read: servers need not have ranges."""
        data, info = self.fetch(key)
        if info.etag != etag or len(data) < start + length:
            raise FileNotFoundError(key)
        return data[start : start + length]

    def _repeated(self, attempt: Callable[[], T], key: str) -> T:
        import httpx

        policy = self.retry_policy
        pauses = policy.waits(policy.now())
        while True:
            try:
                return attempt()
            except _PassingError as error:
                told = str(error)
            except httpx.TransportError as error:
                told = str(error) or type(error).__name__
            except (httpx.InvalidURL, httpx.HTTPError) as error:
                raise ObjectError(key, " ".join(str(error).split())) from error
            pause_s = next(pauses, None)
            if pause_s is None:
                raise ObjectError(key, f"cannot be fetched: {' '.join(told.split())}")
            policy.sleep(pause_s)


class _PassingError(Exception):
    """An answer that may be another one later."""


def check_web() -> None:
    """Refuse where URLs cannot be read at all.

    Raises:
        UsageError: a library is missing.
    """
    if find_spec("httpx") is None:
        raise UsageError("http:// and https:// need httpx: pip install 'arm-batch[http]'")


@functools.lru_cache(maxsize=4)
def _client(connect_s: float, read_s: float) -> httpx.Client:
    """This process's client; safe to share between threads."""
    import httpx

    return httpx.Client(
        # Bytes as they are: what they are compared to is their own size.
        headers={"Accept-Encoding": "identity", "User-Agent": "arm-batch"},
        timeout=httpx.Timeout(read_s, connect=connect_s),
        limits=httpx.Limits(max_connections=_CONNECTIONS),
        follow_redirects=True,
        max_redirects=_REDIRECTS,
    )


def _check(key: str, answer: httpx.Response) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    if status in (404, 410):
        raise FileNotFoundError(key)
    if status in (401, 403):
        raise PermissionError(key)
    if status in _PASSING:
        raise _PassingError(f"HTTP {status} {answer.reason_phrase}")
    raise ObjectError(key, f"HTTP {status} {answer.reason_phrase}")


def _info(key: str, answer: httpx.Response) -> ObjectInfo:
    _check(key, answer)
    whole = answer.headers.get("content-range", "").rpartition("/")[2]
    size = whole if answer.status_code == 206 else answer.headers.get("content-length", "")
    if not size.isdecimal():
        raise ObjectError(key, "the server does not tell its size")
    return ObjectInfo(key, int(size), _etag(answer))


def _etag(answer: httpx.Response) -> str:
    """What changes with the content: the ETag, else the time of its last change, else nothing."""
    found: str = answer.headers.get("etag") or answer.headers.get("last-modified") or ""
    return found.removeprefix("W/").strip('"')
