"""Ten thousand requests that mean no good, to the server that shows an atlas and runs its patch lab.

    python benchmarks/server_fuzz.py [--requests 10000] [--seed S]

A grammar of paths (traversal in every spelling, absolute, UNC, NUL, links), methods, hosts, origins, tokens, sizes,
bodies and pictures that are something else as well; and clients that never finish. Every answer is judged: a status
that this request may have, a body that is a file of the page or the lab's JSON, nothing of the files beside it. In the
end open files, threads and memory of the server's process are what they were.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from actatlas.progress import Silent
from actatlas.server import TOKEN_HEADER, make_server
from actatlas.site import write_own_site
from actatlas.testing import fake_atlas

SECRET = b"CANARY-5f1d"
QUESTIONS = ("status", "photos", "predict", "suggest", "icon", "facets", "lights", "picture", "nothing", "__init__", "")
ALWAYS = {400, 404, 405, 408, 414, 431, 501, 505}  # what any request that is no good may have


# --- the atlas and its server


def secret_atlas(folder: Path) -> Path:
    """A page, and secrets in every place that a server might be talked into giving out."""
    atlas = fake_atlas(folder / "atlas", layers=1, sides=(4,), icon_px=16)
    with atlas.files.reopened():
        write_own_site(atlas, Silent())
    home = atlas.folder
    for place in ("notes.txt", "site/unlisted.txt", "site/.hidden", "site_secret/page.txt", "../outside.txt"):
        (home / place).parent.mkdir(exist_ok=True)
        (home / place).write_bytes(SECRET)
    (home / "site" / "link.txt").symlink_to(home / "notes.txt")
    (home / "site" / "up").symlink_to(home.parent)
    # A listed name that leads out: as of an atlas that came from somebody else.
    (home / "site" / "listed.txt").symlink_to(home.parent / "outside.txt")
    told = [{"path": p, "bytes": len(SECRET), "sha256": hashlib.sha256(SECRET).hexdigest()}
            for p in ("site/listed.txt", "site/../notes.txt", "../outside.txt", "site/../../outside.txt")]  # fmt: skip
    with open(home / "journal.jsonl", "a", encoding="utf-8") as journal:
        journal.writelines(json.dumps(entry) + "\n" for entry in told)
    return home


def serve(folder: Path, told: Connection) -> None:
    from actatlas.lab import Lab

    server = make_server(folder, lab=Lab(folder))
    told.send((server.server_address[1], server.RequestHandlerClass.token))
    server.serve_forever()


@dataclass
class Running:
    folder: Path
    port: int
    token: str
    process: multiprocessing.process.BaseProcess

    @classmethod
    def started(cls, folder: Path) -> Running:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(folder, there), daemon=True)
        process.start()
        return cls(folder, *here.recv(), process)

    def state(self) -> dict[str, int]:
        """Open files, threads, and MB in memory."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return {
            "files": len(os.listdir(f"/proc/{self.process.pid}/fd")),
            "threads": int(status["Threads"]),
            "MB": int(status["VmRSS"].split()[0]) // 1024,
        }

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


# --- requests


@dataclass
class Request:
    """data: as it goes over the wire; allowed: the statuses that it may have; ends: whether the client says so"""

    kind: str
    data: bytes
    allowed: set[int]
    ends: bool = True


class Grammar:
    def __init__(self, running: Running, seed: int):
        self._random = random.Random(seed)
        self._port, self._token = running.port, running.token
        site = running.folder / "site"
        files = [p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file() and not p.is_symlink()]
        self._pages = sorted(name for name in files if "hidden" not in name and "unlisted" not in name)
        self._targets = ["notes.txt", "outside.txt", "plan.json", "images.csv", "journal.jsonl", "manifest.json",
                         "unlisted.txt", "link.txt", "listed.txt", "up/outside.txt", ".hidden", "etc/passwd",
                         "site_secret/page.txt", "layers", "", "proc/self/environ", ".lock"]  # fmt: skip

    def request(self) -> Request:
        kinds: list[tuple[int, Callable[[], Request]]] = [
            (45, self._path), (10, self._page), (10, self._host), (8, self._method), (17, self._question),
            (4, self._picture), (3, self._large), (3, self._noise),
        ]  # fmt: skip
        return self._random.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    # --- of pages

    def _path(self) -> Request:
        path = self._hostile_path()
        is_index = path.startswith("/") and not path.partition("#")[0].partition("?")[0].strip("/")
        return self._get("path", path, {200} if is_index else {404, *ALWAYS})

    def _page(self) -> Request:
        name, query = self._random.choice(self._pages), self._random.choice(["", "?x=1", "?../../notes.txt"])
        spelt = quote(name) if self._random.random() < 0.7 else "".join(f"%{ord(c):02X}" for c in name)
        return self._get("page", f"/{spelt}{query}", {200})

    def _host(self) -> Request:
        host = self._random.choice(
            ["evil.example", f"evil.example:{self._port}", "127.0.0.1.evil.example", "localhost.evil.example", "",
             "127.0.0.1@evil.example", "evil.example#127.0.0.1", "0.0.0.0", "[::]", "127.0.0.2", "localhos", "[::1",
             "\t127.0.0.1 x", "2130706433", "xn--localhost-", None]
        )  # fmt: skip
        path = "/" + self._random.choice(self._pages)
        return self._made("host", "GET", path, {403}, host=host)

    def _method(self) -> Request:
        method = self._random.choice(
            [
                "POST",
                "PUT",
                "DELETE",
                "OPTIONS",
                "PATCH",
                "TRACE",
                "CONNECT",
                "PROPFIND",
                "get",
                "G",
                "GETT",
                "_",
                "M-SEARCH",
            ]
        )
        return self._made("method", method, "/" + self._random.choice(self._pages), {405})

    def _get(self, kind: str, path: str, allowed: set[int]) -> Request:
        method = self._random.choice(["GET", "GET", "GET", "HEAD"])
        extra = self._random.choice([{}, {}, {"Range": "bytes=0-99999999999"}, {"Origin": "http://evil.example"},
                                     {"X-Original-URL": "/plan.json"}, {"Accept": "*/*" * 50}])  # fmt: skip
        return self._made(kind, method, path, allowed, **extra)

    def _hostile_path(self) -> str:
        """A target behind steps upwards, spelt in one of many ways."""
        up = self._random.choice(["../", "..\\", "....//", "..;/", "./../", "/", "//", "/./", ".../", "..\x2f"])
        plain = up * self._random.randint(0, 6) + self._random.choice(self._targets)
        before = self._random.choice(
            ["/", "//", "/site/", "/layers/../", "/index.html/", "/data/", "file://", "http://127.0.0.1/", "", "\\\\",
             "\\\\evil.example\\share\\", "/C:/", "/~", "//evil.example/", "/%2f", "/lab/", "/lab/../"]
        )  # fmt: skip
        spell = self._random.choice(
            [lambda t: t, quote, lambda t: quote(quote(t)), lambda t: t.replace(".", "%2e"),
             lambda t: t.replace("/", "%2f"), lambda t: t.replace("/", "%5C"), lambda t: t.replace("/", "%252F"),
             lambda t: t.replace("..", "%c0%ae%c0%ae"), lambda t: t.replace("..", "%u002e%u002e"),
             lambda t: t.replace("/", "%c0%af"), lambda t: f"{t}%00.html", lambda t: f"{t}%00", lambda t: f"{t}%20",
             lambda t: f"{t}/.", lambda t: f"{t}::$DATA", lambda t: t.upper(), lambda t: f"{t}%0d%0aX: 1",
             lambda t: f"{t}?{t}", lambda t: f"{t}#x", lambda t: "".join(f"%{b:02x}" for b in t.encode())]
        )  # fmt: skip
        return before + spell(plain).replace(" ", "%20")

    # --- of the lab

    def _question(self) -> Request:
        name = self._random.choice(QUESTIONS)
        body = self._random.choice([self._json, self._broken_json, self._bytes])()
        guard = self._random.choice(["right", "right", "none", "wrong", "origin", "host", "shorter", "length"])
        headers: dict[str, str | None] = {TOKEN_HEADER: self._token, "Content-Length": str(len(body))}
        host, allowed = f"127.0.0.1:{self._port}", {200, 400, 404, 405}
        if guard == "none":
            headers[TOKEN_HEADER] = None
        elif guard == "wrong":
            headers[TOKEN_HEADER] = self._random.choice(["", "x", self._token[:-1], self._token + "x", "\u00ff" * 40])
        elif guard == "shorter":
            headers[TOKEN_HEADER] = self._token[: self._random.randint(0, 42)]
        elif guard == "origin":
            headers["Origin"] = self._random.choice(["http://evil.example", "null", f"http://localhost:{self._port}x"])
        elif guard == "host":
            host = "evil.example"
        elif guard == "length":
            headers["Content-Length"] = self._random.choice(
                ["-1", "1e3", "", "9" * 40, "99999999999", "0x10", "\u0663"]
            )
            allowed = {400, 404, 405, 411, 413}
        if guard not in ("right", "length"):
            allowed = {403, 405}
        return self._made(f"question, {guard}", "POST", f"/lab/{name}", allowed, body, host, **headers)

    def _json(self) -> bytes:
        """Of known parts with values that they are not made for."""
        odd = [
            None, True, -1, 0, 1e308, 10**30, "", "../../notes.txt", "<script>", [], {}, [[]], {"id": "x"}, {"id": 0},
            {"key": "../notes"}, {"x": float("nan")}, {"layer": "layer.0", "side": 4, "column": 1, "row": 1},
        ]  # fmt: skip
        parts = ("photo", "patch", "place", "cell", "count", "from", "query", "target", "steps", "px", "side")
        return json.dumps({part: self._random.choice(odd) for part in self._random.sample(parts, 4)}).encode()

    def _broken_json(self) -> bytes:
        whole = self._json()
        return self._random.choice(
            [whole[: len(whole) // 2], b"", b"[" * 9000, b"9" * 9000, b'"\\ud800"', b"\xff\xfe", b"null", b"[1]",
             b"{" * 5000, b"NaN", b'{"photo":' * 1000]
        )  # fmt: skip

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.randint(0, 4000))

    def _picture(self) -> Request:
        """A picture that is something else too, or nothing at all."""
        body = polyglot(self._random)
        headers = {TOKEN_HEADER: self._token, "Content-Length": str(len(body))}
        return self._made("picture", "POST", "/lab/picture", {200, 400}, body, **headers)

    # --- of no form

    def _large(self) -> Request:
        how = self._random.choice(["line", "header", "headers"])
        if how == "line":
            return self._made("large", "GET", "/" + "a" * 70_000, {414})
        if how == "header":
            return self._made("large", "GET", "/", {431}, Large="a" * 70_000)
        return self._made("large", "GET", "/", {431}, **{f"H{i}": "1" for i in range(200)})

    def _noise(self) -> Request:
        data = self._random.choice(
            [self._random.randbytes(200) + b"\r\n\r\n", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"GET / HTTP/1.1\r\n : x\r\n\r\n", b"GET / X\r\n\r\n",
             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1", b"G",
             b"\x16\x03\x01" + self._random.randbytes(60)]
        )  # fmt: skip
        return Request("noise", data, {0, 200, 403, *ALWAYS}, ends=True)

    def _made(
        self,
        kind: str,
        method: str,
        path: str,
        allowed: set[int],
        body: bytes = b"",
        host: str | None = "",
        **headers: str | None,
    ) -> Request:
        given: dict[str, str | None] = {"Host": f"127.0.0.1:{self._port}" if host == "" and kind != "host" else host}
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (given | headers).items() if value is not None]
        head = "\r\n".join([*lines, "Connection: close", "", ""])
        return Request(kind, head.encode("utf-8", "surrogateescape") + body, allowed)


def polyglot(chance: random.Random) -> bytes:
    buffer = io.BytesIO()
    kind = chance.choice(["JPEG", "PNG", "GIF", "WEBP"])
    Image.new("RGB", (chance.randint(1, 64), chance.randint(1, 64)), "teal").save(buffer, kind)
    picture, script = buffer.getvalue(), b"<script>fetch('/plan.json')</script>"
    return chance.choice(
        [picture + script, script + picture, picture[: len(picture) // 2] + script, b"GIF89a/*" + script + b"*/=1;",
         b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', b"%!PS-Adobe-3.0 EPSF-3.0\n%%EOF",
         b"PK\x03\x04" + picture, b"\x89PNG\r\n\x1a\n" + chance.randbytes(300), b"%PDF-1.4 " + script,
         chance.randbytes(2000)]
    )  # fmt: skip


# --- judging


@dataclass
class Judge:
    allowed_bodies: set[str]
    statuses: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, index: bytes) -> Judge:
        """index: index.html as this server gives it, with its token"""
        listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        hashes = {entry["sha256"] for path, entry in listed.items() if path.startswith("site/")}
        return cls(hashes | {hashlib.sha256(index).hexdigest()})

    def hear(self, request: Request, answer: bytes) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1]) if head.startswith(b"HTTP/1.") else 0
        self.statuses[status] += 1
        if SECRET in answer:
            self._tell(request, f"{status}: a secret was given out")
        elif b"Traceback" in answer or status >= 500 and status not in (501, 505):
            self._tell(request, f"{status}: {body[:120]!r}")
        elif status not in request.allowed and not (status == 0 and request.data.startswith(b"POST")):
            # A question whose body was not read may be closed before its answer is.
            self._tell(request, f"{status}, not one of {sorted(request.allowed)}")
        elif status == 200 and request.data.startswith(b"GET") and not self._is_listed(body):
            self._tell(request, "200 with something that is not listed")
        if status and b"nosniff" not in head:
            self._tell(request, f"{status} without nosniff")

    def _is_listed(self, body: bytes) -> bool:
        return hashlib.sha256(body).hexdigest() in self.allowed_bodies

    def _tell(self, request: Request, what: str) -> None:
        self.problems.append(f"{request.kind}: {what}: {request.data[:160]!r}")


def ask(port: int, data: bytes) -> bytes:
    """All that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        received = []
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received.append(part)
        except (ConnectionError, OSError):
            pass  # refused before all was sent, which is an answer too
        return b"".join(received)


def slow(port: int, count: int) -> list[socket.socket]:
    """Clients that begin and do not go on."""
    connections = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "[: number % 40])
        connections.append(connection)
    return connections


def settled(running: Running, wanted: dict[str, int]) -> dict[str, int]:
    """The state once threads of the last requests are gone."""
    for _ in range(100):
        state = running.state()
        if state["files"] <= wanted["files"] + 2 and state["threads"] <= wanted["threads"] + 2:
            break
        time.sleep(0.1)
    return state


def fuzz(folder: Path, requests: int, seed: int = 0, slow_clients: int = 100) -> tuple[Judge, dict, dict]:
    """(what was found, the server's state before and after)"""
    running = Running.started(secret_atlas(folder))
    try:
        page = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nConnection: close\r\n\r\n".encode()
        judge = Judge.of(running.folder, ask(running.port, page).partition(b"\r\n\r\n")[2])
        grammar = Grammar(running, seed)
        for _ in range(max(requests // 10, 50)):  # what is loaded at first use is loaded
            ask(running.port, grammar.request().data)
        before = settled(running, running.state())
        waiting = slow(running.port, slow_clients)
        for _ in range(requests):
            request = grammar.request()
            judge.hear(request, ask(running.port, request.data))
        for connection in waiting:
            connection.close()
        if not ask(running.port, page).startswith(b"HTTP/1.1 200"):
            judge.problems.append("the server does not answer any more")
        after = settled(running, before)
        if after["files"] > before["files"] + 2 or after["MB"] > before["MB"] + 20:
            judge.problems.append(f"before {before}, after {after}")
        return judge, before, after
    finally:
        running.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        judge, before, after = fuzz(Path(folder), options.requests, options.seed)
    statuses = ", ".join(f"{status or 'closed'} {n}" for status, n in sorted(judge.statuses.items()))
    print(f"{options.requests} requests, {len(judge.problems)} wrong, {time.monotonic() - started:.0f} s; {statuses}")
    print(f"before {before}, after {after}")
    print("\n".join(judge.problems[:20]))
    return int(bool(judge.problems))


if __name__ == "__main__":
    sys.exit(main())
