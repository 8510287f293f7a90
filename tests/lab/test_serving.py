"""Questions over HTTP: only this server's own page may ask, and every refusal is a sentence."""

from __future__ import annotations

import contextlib
import html
import http.client
import io
import json
import re
import socket
import threading
from functools import cached_property

import pytest
from PIL import Image

from actatlas.lab import Lab
from actatlas.server import make_server


class Served:
    def __init__(self, folder, lab):
        self.server = make_server(folder, lab=lab)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def ask(self, path, body=None, method="POST", **headers):
        """Status, headers, body; headers that are None are not sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        given = {"Host": f"127.0.0.1:{self.port}", "X-Actatlas-Token": self.token, **headers}
        if body is not None and "Content-Length" not in given:
            given["Content-Length"] = str(len(body))
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def question(self, name, **asked):
        status, _, body = self.ask(f"/lab/{name}", json.dumps(asked).encode())
        return status, json.loads(body)

    @cached_property
    def page(self):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()

    @cached_property
    def token(self):
        found = re.search('<meta name="actatlas-lab" content="([^"]+)">', self.page)
        return html.unescape(found.group(1)) if found else ""


@pytest.fixture(scope="module")
def served(lab_atlas, lab):
    running = Served(lab_atlas, lab)
    yield running
    running.close()


def test_the_page_that_is_served_may_ask_and_the_file_on_the_disk_may_not(served, lab_atlas):
    on_disk = (lab_atlas / "site" / "index.html").read_text()
    assert "connect-src" not in on_disk and "actatlas-lab" not in on_disk
    assert len(served.token) >= 32
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]+)"', served.page).group(1)
    plain = re.search('http-equiv="Content-Security-Policy" content="([^"]+)"', on_disk).group(1)
    assert policy.replace(" connect-src 'self';", "") == plain and "connect-src 'self'" in policy
    status, headers, _ = served.ask("/", method="GET")
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and "Access-Control-Allow-Origin" not in headers


def test_each_server_has_a_token_of_its_own(served, lab_atlas):
    other = Served(lab_atlas, Lab(lab_atlas))
    try:
        assert other.token != served.token
        status, _, body = other.ask("/lab/status", b"{}", **{"X-Actatlas-Token": served.token})
        assert status == 403 and "only the page" in json.loads(body)["error"]
    finally:
        other.close()


def test_a_question_is_answered_and_a_picture_is_taken(served):
    assert served.question("status")[1]["closed"] is None
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), "orange").save(buffer, "PNG")
    status, headers, body = served.ask("/lab/picture", buffer.getvalue())
    given = json.loads(body)
    assert status == 200 and given["size"] == [300, 200] and headers["Content-Type"] == "application/json"
    status, seen = served.question("predict", photo={"key": given["key"]})
    assert status == 200 and len(seen["before"]) == 5


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Actatlas-Token": None}, {"X-Actatlas-Token": ""}, {"X-Actatlas-Token": "x" * 43},
        {"X-Actatlas-Token": "\u00e9" * 43}, {"Origin": "https://evil.example"}, {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"}, {"Host": "evil.example"}, {"Host": None},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)  # fmt: skip
def test_a_question_from_elsewhere_is_refused(served, headers):
    status, _, body = served.ask("/lab/status", b"{}", **headers)
    assert status == 403 and "only the page that this server shows" in json.loads(body)["error"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_the_pages_own_origin_is_accepted(served, name):
    host = f"{name}:{served.port}"
    assert served.ask("/lab/status", b"{}", Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "told"),
    [
        ("/lab/predict", b"", {}, 400, "is JSON"),
        ("/lab/predict", b"{", {}, 400, "is JSON"),
        ("/lab/predict", b"\xff\xfe", {}, 400, "is JSON"),
        ("/lab/predict", b"[" * 9000, {}, 400, "is JSON"),
        ("/lab/predict", b"9" * 9000, {}, 400, "is JSON"),
        ("/lab/predict", b"[1]", {}, 400, "a JSON object"),
        ("/lab/predict", b"{}", {}, 400, "photo must be an object"),
        ("/lab/predict", b'{"photo": {"id": 999}}', {}, 400, "has no photo 999"),
        ("/lab/picture", b"no picture", {}, 400, "not a JPEG"),
        ("/lab/nothing", b"{}", {}, 404, "no such question"),
        ("/lab/__init__", b"{}", {}, 404, "no such question"),
        ("/lab/predict", b"{}", {"Content-Length": None}, 411, "how many bytes"),
        ("/lab/predict", b"{}", {"Content-Length": "-2"}, 411, "how many bytes"),
        ("/lab/predict", b"{}", {"Content-Length": "2", "Transfer-Encoding": "chunked"}, 411, "how many bytes"),
        ("/lab/predict", None, {"Content-Length": "99999"}, 413, "at most 0.0156 MB"),
        ("/lab/picture", None, {"Content-Length": "9" * 30}, 413, "at most 64 MB"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_question_is_said(served, path, body, headers, status, told):
    found, _, answer = served.ask(path, body, **headers)
    assert found == status and told in json.loads(answer)["error"] and "Traceback" not in answer.decode()


@pytest.mark.parametrize("path", ["/", "/index.html", "/lab", "/lab/../status", "/lab/status?x=1", "/plan.json"])
def test_nothing_else_is_posted_to(served, path):
    assert served.ask(path, b"{}")[0] in (404, 405)


@pytest.mark.parametrize("path", ["/lab/status", "/lab/photos", "/lab/picture", "/lab"])
def test_questions_are_not_got(served, path):
    assert served.ask(path, method="GET")[0] == 404


def test_a_reader_who_goes_away_leaves_no_trace_and_the_server_answers_on(served, capfd):
    for _ in range(3):
        gone = socket.create_connection(("127.0.0.1", served.port))
        head = f"POST /lab/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Actatlas-Token: {served.token}\r\nContent-Length: 2"
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closed at once, by a reset
        gone.sendall(f"{head}\r\n\r\n{{}}".encode())
        gone.close()
    assert served.question("status")[0] == 200
    assert capfd.readouterr().err == ""


def test_many_may_ask_at_once(served):
    answers = []

    def ask(number):
        answers.append((number, served.question("predict", photo={"id": number % 4})))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    for number, (status, value) in answers:
        alone = served.question("predict", photo={"id": number % 4})[1]
        assert status == 200 and value["before"] == alone["before"]


def test_a_page_that_knows_no_lab_is_served_as_it_is(lab_atlas, tmp_path):
    from actatlas.site.serving import with_lab

    page = (lab_atlas / "site" / "index.html").read_bytes()
    assert with_lab(page, "word") != page
    older = page.replace(b"default-src 'none';", b"default-src 'self';")
    assert with_lab(older, "word") == older and with_lab(b"", "word") == b""
    assert b'content="&quot;&lt;b&gt;"' in with_lab(page, '"<b>')
