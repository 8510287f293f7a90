"""The documentation site: it builds, asks for nothing from elsewhere, and what its pages tell people to do works."""

from __future__ import annotations

import functools
import http.server
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site() -> Path:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "build_docs_site.py"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return ROOT / "build" / "docs"


@pytest.fixture(scope="module")
def builder(load_script):
    return load_script("tools/build_docs_site.py")


def test_every_page_of_docs_is_on_the_site(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page


def test_a_page_asks_for_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]+src="([^"]+)"', text)
        loaded += re.findall(r'<link[^>]+rel="(?:stylesheet|preload|preconnect|icon)"[^>]*href="([^"]+)"', text)
        loaded += re.findall(r'<link[^>]+href="([^"]+)"[^>]*rel="(?:stylesheet|preload|preconnect|icon)"', text)
        away = [address for address in loaded if re.match(r"(https?:)?//", address)]
        assert loaded and not away, f"{page}: {away}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_reference_says_what_every_public_name_does(site):
    import actatlas

    text = (site / "reference.html").read_text(encoding="utf-8")
    for name in set(actatlas.__all__) - {"__version__"}:
        assert name in text, f"docs/reference.md has no {name}"


def test_parameters_are_a_list_in_the_reference_and_do_not_run_together(site):
    text = (site / "reference.html").read_text(encoding="utf-8")
    build = text.partition('<h4 id="actatlas.api.build"')[2].partition("<h4 ")[0]
    items = re.findall(r"<li>\s*<code>(\w+)</code>: ", build)
    assert items[:4] == ["images", "model", "layers", "grids"] and len(items) >= 12
    for paragraph in re.findall(r"<p>(.*?)</p>", text, re.DOTALL):
        assert not re.search(r"^[a-z_]\w*(, [a-z_]\w*)*: ", paragraph, re.MULTILINE), paragraph


def test_lines_of_a_docstring_that_begin_with_names_become_a_list(load_script):
    with_lists = load_script("tools/docstring_lists.py").with_lists
    told = """What it does, in short: much.

    px, side: sizes; of: their unit, as
        elsewhere; else: none, of
    course
    note: of no parameter
    Raises nothing: really.
    """.replace("\n    ", "\n")
    assert with_lists(told, {"px", "side", "of"}).split("\n") == [
        "What it does, in short: much.", "", "",
        "- `px`, `side`: sizes",
        "- `of`: their unit, as elsewhere; else: none, of course", "",
        "note: of no parameter",
        "Raises nothing: really.",
    ]  # fmt: skip
    assert with_lists("A table.\n\nname: text", None) == "A table.\n\n\n- `name`: text"
    assert with_lists("One line.\nname: text", set()) == "One line.\nname: text", "without names it stays"


def test_a_link_out_of_docs_leads_to_its_page(builder):
    at = ROOT / "docs" / "decisions" / "0009-attribution-of-a-patch.md"
    written = builder.with_links("[figures](../../benchmarks/RESULTS.md)", "decisions/a.md", at)
    assert written == "[figures](../results.md)"


def test_pictures_are_small():
    wide = {"atlas.webp", "page.webp"}  # the README's
    for picture in (ROOT / "docs" / "images").glob("*.webp"):
        assert picture.stat().st_size <= (240_000 if picture.name in wide else 120_000), picture


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


def _search(page, word: str) -> None:
    """Types it, and opens the first that is found: it has the word."""
    began = page.url
    page.locator("label[for=__search]:visible, .md-search__button:visible").first.click()
    page.wait_for_timeout(500)
    page.keyboard.type(word, delay=50)
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != began, timeout=20_000)
    assert word in page.locator("article").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 900), (390, 800)], ids=["desktop", "phone"])
def test_it_reads_and_is_searched_on_desktop_and_phone(site, browser, size):
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        for name in ("index", "tutorial", "honesty", "reference", "howto/notebook"):
            page.goto(f"{address}/{name}.html")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
            broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
            assert page.evaluate(broken) == []
        _search(page, "percentile")
        assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    finally:
        page.close()
        server.shutdown()
        server.server_close()


@pytest.mark.browser
def test_it_is_searched_where_it_is_opened_from_a_folder(site, browser):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto((site / "howto" / "notebook.html").as_uri())
        _search(page, "percentile")
        assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    finally:
        page.close()
