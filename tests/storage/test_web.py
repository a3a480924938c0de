"""Images on web servers: sizes, ETags, retries, bounds, and what each failure is to whoever reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.errors import InputError, ObjectError
from arm_batch.inputs.uris import resolve
from arm_batch.storage import web
from arm_batch.storage.base import ObjectInfo
from arm_batch.storage.local import LocalStore
from arm_batch.storage.web import WEB_RETRY_POLICY, WebStore
from tests.archives import draw, job, silent, write_png

pytest.importorskip("httpx")

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path; counts requests by method and path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.command, self.path))
                outer.answers.get(self.path.partition("?")[0], status(404))(self)

            do_HEAD = do_GET  # noqa: N815 - as `http.server` calls it

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def holds(data: bytes, etag: str | None = '"one"', head: bool = True) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "HEAD" and not head:
            status(405)(handler)
            return
        part = data[:1] if handler.headers.get("Range") == "bytes=0-0" else data
        handler.send_response(206 if part is not data else 200)
        if part is not data:
            handler.send_header("Content-Range", f"bytes 0-0/{len(data)}")
        if etag is not None:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(part)

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    web._client.cache_clear()
    found = Server()
    yield found
    found.server.shutdown()
    found.server.server_close()
    web._client(WEB_RETRY_POLICY.connect_s, WEB_RETRY_POLICY.read_s).close()
    web._client.cache_clear()


@pytest.fixture
def store() -> WebStore:
    return WebStore(replace(WEB_RETRY_POLICY, sleep=lambda _: None))


@pytest.mark.parametrize("head", [True, False])
def test_size_and_etag_come_with_or_without_head(server: Server, store: WebStore, head: bool) -> None:
    server.answers["/a.png"] = holds(b"abcdef", 'W/"two"', head)
    key = f"{server.url}/a.png"
    info = store.stat(key)
    assert info == ObjectInfo(key, 6, "two")
    assert store.fetch(key) == (b"abcdef", info)
    assert store.open(info).read() == b"abcdef"
    assert store.fetch_range(key, "two", 2, 3) == b"cde"
    with pytest.raises(FileNotFoundError):
        store.open(ObjectInfo(key, 6, "one"))


def test_redirects_are_followed_but_not_without_end(server: Server, store: WebStore) -> None:
    server.answers["/b.png"] = status(302, Location="/a.png")
    server.answers["/a.png"] = holds(b"abc")
    server.answers["/ring"] = status(302, Location="/ring")
    assert store.fetch(f"{server.url}/b.png")[0] == b"abc"
    with pytest.raises(ObjectError, match="redirects"):
        store.fetch(f"{server.url}/ring")


@pytest.mark.parametrize(
    ("code", "error", "requests"),
    [
        (404, FileNotFoundError, 1),
        (410, FileNotFoundError, 1),
        (403, PermissionError, 1),
        (418, ObjectError, 1),
        (503, ObjectError, WEB_RETRY_POLICY.attempts),
        (429, ObjectError, WEB_RETRY_POLICY.attempts),
    ],
)
def test_answers_mean_something(
    server: Server, store: WebStore, code: int, error: type[Exception], requests: int
) -> None:
    server.answers["/a.png"] = status(code)
    with pytest.raises(error):
        store.fetch(f"{server.url}/a.png")
    assert server.asked == [("GET", "/a.png")] * requests


def test_what_passes_is_repeated(server: Server, store: WebStore) -> None:
    answers = iter([status(503), status(500), holds(b"abc")])
    server.answers["/a.png"] = lambda handler: next(answers)(handler)
    assert store.fetch(f"{server.url}/a.png")[0] == b"abc"


def test_nobody_there_is_one_images_fault(store: WebStore, server: Server) -> None:
    server.server.server_close()
    with pytest.raises(ObjectError, match="cannot be fetched"):
        store.fetch(f"{server.url}/a.png")


def test_what_is_too_large_is_not_read_to_its_end(
    server: Server, store: WebStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MOST_BYTES", 1000)
    server.answers["/a.png"] = holds(b"x" * 5000)
    with pytest.raises(ObjectError, match="is larger than"):
        store.fetch(f"{server.url}/a.png")


@pytest.mark.parametrize(
    ("url", "key", "path"),
    [
        ("https://host/a/b.png", "https://host/a/b.png", "host/a/b.png"),
        ("HTTPS://me:word@host:8443/b.png?Sig=1#top", "https://me:word@host:8443/b.png?Sig=1", "host/b.png"),
    ],
)
def test_a_url_is_a_key_and_suggests_a_path_without_secrets(url: str, key: str, path: str) -> None:
    assert resolve(url, LocalStore("/")) == (key, path)


@pytest.mark.parametrize("url", ["https://host", "https:///a.png", "http://[/a.png"])
def test_what_is_no_url_of_an_image_is_told(url: str) -> None:
    with pytest.raises(InputError):
        resolve(url, LocalStore("/"))


def test_without_the_extra_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'arm-batch\[http\]'"):
        resolve("https://host/a.png", LocalStore("/"))


def test_a_list_of_urls_is_upscaled(server: Server, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", draw(0, 40, 50))
    server.answers["/x/a.png"] = holds((tmp_path / "a.png").read_bytes())
    (tmp_path / "list.txt").write_text(f"{server.url}/x/a.png?Sig=1\n{server.url}/gone.png\n")
    assert pipeline.upscale(job(tmp_path / "list.txt", tmp_path / "out"), silent).failed == 1
    rows = open_dataset(tmp_path / "out").to_table(["path", "status", "error"]).sort_by("path").to_pylist()
    assert rows == [
        {"path": "127.0.0.1/gone.png", "status": "failed", "error": "does not exist, or is a folder"},
        {"path": "127.0.0.1/x/a.png", "status": "ok", "error": None},
    ]
