"""Shows an atlas's site on 127.0.0.1, finished or growing. It gives out only what the manifest or journal lists."""

from __future__ import annotations

import errno
import mimetypes
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from actatlas.errors import StorageError, UnfinishedAtlas
from actatlas.store import AtlasFolder

_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def make_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server that has not started; `server_address[1]` is its port, a free one where 0 was asked for.

    Raises UnfinishedAtlas if there is no page yet, StorageError if the port is taken.
    """
    AtlasFolder.existing(folder)
    if not (folder / "site" / "index.html").is_file():
        raise UnfinishedAtlas(
            f"{folder} has no page yet; run its build command again, which continues", path=str(folder)
        )

    class Handler(_SiteHandler):
        atlas_folder = folder

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise StorageError(f"port {port} is taken by another program; choose another --port", port=port) from None


class _SiteHandler(BaseHTTPRequestHandler):
    atlas_folder: Path
    cache: tuple[int, frozenset[str]] = (-2, frozenset())
    protocol_version = "HTTP/1.1"
    server_version = "actatlas"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def __getattr__(self, name: str):
        if name.startswith("do_"):  # every other method, known or not
            return lambda: self._say(HTTPStatus.METHOD_NOT_ALLOWED)
        raise AttributeError(name)

    def _answer(self, with_body: bool) -> None:
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in _LOCAL_HOSTS:
            return self._say(HTTPStatus.FORBIDDEN)
        path = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
        listed = f"site/{path}"
        if listed not in self._listed():  # an exact name in the list, never a path to resolve
            return self._say(HTTPStatus.NOT_FOUND)
        self._send(HTTPStatus.OK, (self.atlas_folder / listed).read_bytes(), _type_of(path), with_body)

    def _listed(self) -> frozenset[str]:
        """The journal is read again only when it has grown."""
        journal = self.atlas_folder / "journal.jsonl"
        state = journal.stat().st_size if journal.is_file() else -1
        if state != self.cache[0]:
            self.cache = type(self).cache = (state, frozenset(AtlasFolder(self.atlas_folder).committed("site/")))
        return self.cache[1]

    def _say(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._send(status, status.phrase.encode(), "text/plain; charset=utf-8", self.command != "HEAD")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        return None


def _type_of(path: str) -> str:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if path.endswith(".js"):
        kind = "text/javascript"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
