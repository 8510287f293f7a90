"""The server gives out what the journal lists, to this machine, by GET and HEAD."""

import http.client
import threading

import pytest

from actatlas.errors import NotAnAtlas, StorageError, UnfinishedAtlas
from actatlas.server import make_server
from actatlas.store import FORMAT_VERSION, AtlasFolder


@pytest.fixture
def served(tmp_path):
    files = AtlasFolder.begin(tmp_path / "atlas")
    files.write_json("plan.json", {"format_version": FORMAT_VERSION})
    files.write("site/index.html", b"<p>here")
    files.write("site/data/a.js", b"1")
    files.write("images.csv", b"secret")
    (files.root / "site" / "unlisted.txt").write_text("secret")
    server = make_server(files.root)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield files, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def ask(port, path, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_and_its_files_are_given_out(served):
    _, port = served
    answer, body = ask(port, "/")
    assert (answer.status, body) == (200, b"<p>here")
    answer, body = ask(port, "/data/a.js?x=1")
    assert (answer.status, body, answer.getheader("Content-Type")) == (200, b"1", "text/javascript; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    ["/../images.csv", "/%2e%2e/images.csv", "/..%2fimages.csv", "/images.csv", "/unlisted.txt", "//etc/passwd",
     "/site/index.html", "/data/%2e%2e/%2e%2e/plan.json", "/data/a.js%00", "/%252e%252e/images.csv"],
)  # fmt: skip
def test_nothing_that_is_not_listed_is_given_out(served, path):
    _, port = served
    answer, body = ask(port, path)
    assert answer.status == 404 and b"secret" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "MADEUP"])
def test_other_methods_are_refused(served, method):
    _, port = served
    assert ask(port, "/", method)[0].status == 405


def test_a_strange_host_name_is_refused(served):
    _, port = served
    assert ask(port, "/", host="evil.example")[0].status == 403
    assert ask(port, "/", host=f"localhost:{port}")[0].status == 200


def test_what_a_growing_atlas_adds_is_given_out_at_once(served):
    files, port = served
    assert ask(port, "/data/b.js")[0].status == 404
    files.write("site/data/b.js", b"2")
    assert ask(port, "/data/b.js")[1] == b"2"


def test_a_folder_without_a_page_or_a_taken_port_is_one_clear_sentence(served, tmp_path):
    _, port = served
    with pytest.raises(NotAnAtlas):
        make_server(tmp_path)
    AtlasFolder.begin(tmp_path / "young").write_json("plan.json", {"format_version": FORMAT_VERSION})
    with pytest.raises(UnfinishedAtlas, match="no page yet"):
        make_server(tmp_path / "young")
    with pytest.raises(StorageError, match=f"port {port} is taken"):
        make_server(served[0].root, port)
