"""The page inside a notebook: in a real JupyterLab, where it and Python tell each other, and as converted HTML."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import expect

import actatlas
from actatlas.progress import Silent
from actatlas.site import write_own_site
from actatlas.testing import cell_code, code_of, fake_atlas

pytestmark = pytest.mark.browser
FRAME = "iframe[title='Activation atlas']"
MS = 60_000
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


@pytest.fixture(scope="module")
def shown_atlas(tmp_path_factory):
    atlas = fake_atlas(tmp_path_factory.mktemp("notebook") / "atlas", layers=2, sides=(10, 20), photos=0, icon_px=48)
    write_own_site(atlas, Silent())
    atlas.files.finish({})
    return atlas


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(address, folder) of a JupyterLab whose settings are its own."""
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "config" / "labconfig"
    settings.mkdir(parents=True)
    quiet = {"@jupyterlab/apputils-extension:announcements": True}
    (settings / "page_config.json").write_text(json.dumps({"disabledExtensions": quiet}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {name: str(folder / name) for name in ("config", "data", "runtime")}
    environment = {
        **os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        **{f"JUPYTER_{name.upper()}_DIR": place for name, place in places.items()},
    }  # fmt: skip
    options = ["--no-browser", "--allow-root", "--IdentityProvider.token=", f"--ServerApp.port={port}"]
    options += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log, cwd=folder
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, folder / "log")
        yield address, folder
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
        log.close()


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    """Until it answers: each try waits for the port itself."""
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def notebook(lab, browser):
    """notebook(*cells) → its page in JupyterLab, the first cell chosen."""
    address, folder = lab
    contexts = []

    def open_(*cells: str):
        path = folder / f"notebook-{len(contexts)}.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL), path)
        context = browser.new_context(viewport={"width": 1300, "height": 1000}, reduced_motion="reduce")
        context.set_default_timeout(MS)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{address}/lab/tree/{path.name}?reset")
        expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(len(cells), timeout=MS)
        # A cell that is run before there is a kernel is not run at all.
        expect(page.get_by_text(re.compile(r"\(ipykernel\) \| Idle"))).to_be_visible(timeout=2 * MS)
        return page

    yield open_
    for context in contexts:
        if os.environ.get("SHOT"):
            context.pages[0].screenshot(path=os.environ["SHOT"])
        context.close()


def run(page, index: int):
    """Runs a cell; its outputs."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(index)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=MS)
    return cell.locator(".jp-OutputArea-output")


def runs_to(page, index: int, text: str) -> None:
    """A cell prints this, at the latest the fifth time: what the page tells may reach Python after the first run."""
    for _ in range(4):
        try:
            return expect(run(page, index)).to_have_text(text)
        except AssertionError:
            continue
    expect(run(page, index)).to_have_text(text)


def test_what_is_chosen_in_jupyterlab_is_chosen_in_python_and_back(notebook, shown_atlas):
    opening = f"import actatlas\natlas = actatlas.open({str(shown_atlas.folder)!r})\n"
    opening += "widget = atlas.show(height=560)\nwidget"
    reading = "chosen = widget.selection[['layer', 'grid', 'cell']].to_json(orient='values')\n"
    reading += "print(chosen, widget.cell.column, widget.cell.row)"
    page = notebook(opening, reading, "widget.address = '#layer=layer.0&grid=20&cell=7,9'")
    run(page, 0)
    atlas = page.frame_locator(FRAME)
    expect(atlas.locator("html[data-ready]")).to_be_attached(timeout=MS)

    atlas.get_by_test_id("map").click()
    inspector = atlas.get_by_test_id("inspector")
    expect(inspector).to_be_visible()
    column, row = place_in(inspector)
    runs_to(page, 1, f'[["layer.1",10,"{column},{row}"]] {column} {row}')

    atlas.get_by_test_id("map").press("s")
    page.keyboard.press("ArrowLeft")
    expect(inspector).to_have_attribute("data-column", str(column - 1))
    page.keyboard.press("s")
    expect(atlas.get_by_test_id("picked")).to_contain_text("2 cells")
    both = f'[["layer.1",10,"{column},{row}"],["layer.1",10,"{column - 1},{row}"]]'
    runs_to(page, 1, f"{both} {column - 1} {row}")

    # Nothing of this layer's finer grid came with the page.
    run(page, 2)
    expect(inspector).to_have_attribute("data-layer", "layer.0", timeout=MS)
    expect(atlas.locator("html[data-ready]")).to_be_attached(timeout=MS)
    assert place_in(inspector) == [7, 9]
    assert code_of(colour_in(inspector)) == cell_code(0, 20, 7, 9), "the icon that Python sent is this cell's"
    runs_to(page, 1, '[["layer.0",20,"7,9"]] 7 9')


def test_a_converted_notebook_shows_the_atlas_without_python(shown_atlas, browser, tmp_path):
    embedded = actatlas.open(shown_atlas.folder).embed(layer="layer.0", grid=10, cell=(3, 4))
    output = new_output("execute_result", {"text/html": embedded._repr_html_(), "text/plain": repr(embedded)})
    cell = new_code_cell("atlas.embed()", outputs=[output], execution_count=1)
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(new_notebook(cells=[cell], metadata=KERNEL))
    (tmp_path / "notebook.html").write_text(html, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1300, "height": 1000}, reduced_motion="reduce")
    context.route(re.compile("^https?://"), lambda route: route.abort())  # what nbconvert's own page would like to have
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "notebook.html").as_uri())
    atlas = page.frame_locator(FRAME)
    expect(atlas.locator("html[data-ready]")).to_be_attached(timeout=MS)
    inspector = atlas.get_by_test_id("inspector")
    expect(inspector).to_have_attribute("data-layer", "layer.0")
    assert place_in(inspector) == [3, 4] and code_of(colour_in(inspector)) == cell_code(0, 10, 3, 4)
    atlas.get_by_test_id("layers").get_by_role("button", name="layer.1").click()
    expect(inspector).to_have_attribute("data-layer", "layer.1")
    expect(page.get_by_text("This output holds the whole page")).to_be_visible()
    assert [one for one in problems if "require" not in one.lower()] == []
    context.close()


@pytest.mark.parametrize("is_executed", [False, True], ids=["saved by JupyterLab", "executed by nbconvert"])
def test_a_converted_notebook_shows_a_picture_where_the_widget_cannot_live(shown_atlas, browser, tmp_path, is_executed):
    """JupyterLab keeps the output alone, nbconvert what the widget knew beside it."""
    code = f"import actatlas\nactatlas.open({str(shown_atlas.folder)!r}).show(layer='layer.0', grid=10)"
    made = new_notebook(cells=[new_code_cell(code, execution_count=1)], metadata=KERNEL)
    if is_executed:
        ExecutePreprocessor(timeout=120).preprocess(made, {"metadata": {"path": str(tmp_path)}})
        assert "widgets" in made.metadata
    else:
        data, _ = actatlas.open(shown_atlas.folder).show(layer="layer.0", grid=10)._repr_mimebundle_()
        made.cells[0].outputs = [new_output("execute_result", data)]
    html, _ = HTMLExporter().from_notebook_node(made)
    (tmp_path / "notebook.html").write_text(html, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.route(re.compile("^https?://"), lambda route: route.abort())
    page = context.new_page()
    page.goto((tmp_path / "notebook.html").as_uri())
    picture = page.locator(".jp-OutputArea-output img")
    expect(picture).to_be_visible(timeout=MS)
    assert picture.evaluate("image => image.naturalWidth") > 800
    column, row = 3, 4
    middle = [14 + 80 * column + 40, 50 + 80 * row + 40]
    draws = "(i, [x, y]) => { const c = document.createElement('canvas'); c.width = i.naturalWidth; "
    draws += "c.height = i.naturalHeight; const p = c.getContext('2d'); p.drawImage(i, 0, 0); "
    draws += "return Array.from(p.getImageData(x, y, 1, 1).data) }"
    colour = picture.evaluate(draws, middle)[:3]
    wanted = shown_atlas.layer("layer.0").grid(10).cell_at(column, row).icon.image.getpixel((24, 24))
    assert max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) < 12
    if os.environ.get("SHOT"):
        page.screenshot(path=os.environ["SHOT"])
    context.close()


def test_in_jupyterlab_the_page_stands_in_the_pictures_place(notebook, shown_atlas):
    page = notebook(f"import actatlas\nactatlas.open({str(shown_atlas.folder)!r}).show(height=560)")
    outputs = run(page, 0)
    expect(page.frame_locator(FRAME).locator("html[data-ready]")).to_be_attached(timeout=MS)
    expect(outputs).to_have_count(1)
    expect(outputs.locator("img")).to_have_count(0)


def place_in(inspector) -> list[int]:
    return [int(inspector.get_attribute(f"data-{name}")) for name in ("column", "row")]


def colour_in(inspector) -> list[int]:
    """Of the middle of the chosen cell's icon, once it has been drawn."""
    canvas = inspector.locator("canvas").first
    expect(canvas).to_have_attribute("data-shows", re.compile("."))
    middle = "c => Array.from(c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data)"
    handle = canvas.element_handle()
    handle.owner_frame().wait_for_function(f"c => ({middle})(c)[3] === 255", arg=handle)
    return handle.evaluate(middle)[:3]
