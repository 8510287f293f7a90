"""A page that was never computed: an icon is a colour that says which cell it is, so a screenshot can be read."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from actatlas.atlas import Atlas
from actatlas.site import write_site
from actatlas.testing import fake_atlas


@pytest.fixture(scope="session")
def breaches() -> Callable:
    """breaches(page): what axe-core finds against WCAG 2.2 AA and its own best practice, with the elements."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

    def breaches_(page) -> list[tuple[str, list[str]]]:
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
        return [(rule["id"], [node["html"][:160] for node in rule["nodes"]]) for rule in found]

    return breaches_


@pytest.fixture(scope="session")
def write_file() -> Callable[[Path, bytes], None]:
    def write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return write


@pytest.fixture(scope="session")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return fake_atlas(tmp_path_factory.mktemp("fake") / "atlas", layers=4, sides=(20, 40), photos=0, icon_px=48)


@pytest.fixture(scope="session")
def site(atlas: Atlas, write_file) -> Path:
    """The folder of a 4-layer atlas with grids of 20 and 40."""
    return write_site(atlas, atlas.folder / "site", write_file).parent


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory, write_file) -> Atlas:
    """A small atlas with photos, its site beside it."""
    atlas = fake_atlas(tmp_path_factory.mktemp("pictured") / "atlas", layers=2, sides=(20,), icon_px=32)
    write_site(atlas, atlas.folder / "site", write_file)
    return atlas


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        return None


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """serve(folder) → the address of its page on a plain web server."""
    running = []

    def serve_(folder: Path) -> str:
        handler = functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/index.html"

    yield serve_
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def served(site: Path, serve) -> str:
    return serve(site)


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, site: Path, served: str) -> str:
    """index.html by a double click, and from a web server."""
    return served if request.param == "http" else (site / "index.html").as_uri()


# OpenSeadragon says so of a tile that arrives after its grid has left the map; nothing is wrong then.
HARMLESS = "Ignoring tile"


class Seen:
    """What went wrong in a page, in any of the ways that a browser tells."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []

    def _hear(self, message) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(HARMLESS):
            self.problems.append(message.text)

    def watch(self, page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        page.on("response", lambda r: self.problems.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def open_page(browser) -> Iterator[Callable]:
    """open_page(address, hash="", **context options) → a page whose overview is drawn.

    At the end of the test it must have met no error, no breach of its own policy, and asked for nothing from elsewhere.
    """
    contexts, watched = [], []

    def open_(address: str, hash: str = "", **options: object):
        options = {"viewport": {"width": 1000, "height": 700}, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        seen = Seen()
        seen.watch(page)
        watched.append((address, seen))
        page.goto(address + hash)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    for address, seen in watched:
        assert seen.problems == []
        home = address.rsplit("/", 1)[0] + "/"
        assert [url for url in seen.requests if not url.startswith((home, "data:"))] == []
