"""The page in Firefox, from a double click and from a web server."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from actatlas.testing import cell_code, code_of

pytestmark = pytest.mark.browser
CARD = "JSON.stringify({...document.querySelector('[data-testid=card]').dataset})"


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    # Beside this file: tests are no package.
    spec = importlib.util.spec_from_file_location("firefox", Path(__file__).with_name("firefox.py"))
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    executable = driver.find()
    if executable is None:
        pytest.skip("no Firefox: sh tools/find_firefox.sh, or set ACTATLAS_FIREFOX")
    running = driver.Firefox(executable, tmp_path_factory.mktemp("firefox"))
    yield running
    running.close()


@pytest.fixture
def opened(firefox, address):
    """opened(hash): the page, looked at in Firefox. It has met no error, and no breach of its own policy."""
    firefox.problems.clear()

    def open_(link=""):
        firefox.open(address + link)
        return firefox

    yield open_
    assert firefox.problems == []


def test_every_layer_is_drawn_and_the_card_says_which_cell_is_under_the_pointer(opened):
    page = opened("#layer=layer.0&grid=20")
    rng = np.random.default_rng(0)
    for layer in range(4):
        if layer:
            page.press("]")
            page.until(f"location.hash.includes('layer.{layer}') && 'ready' in document.documentElement.dataset")
        page.move(5, 5)
        pixels, seen = settled(page), 0
        for x, y in rng.integers((400, 200), (700, 560), (12, 2)).tolist():
            page.move(x, y)
            card = json.loads(page.run(CARD))
            column, row = int(card["column"]), int(card["row"])
            patch = pixels[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
            if np.ptp(patch, axis=0).max() < 12:  # not at an edge of two cells
                assert code_of(patch.mean(axis=0)) == cell_code(layer, 20, column, row), (x, y, card)
                seen += 1
        assert seen >= 4


def test_a_cell_is_opened_a_class_found_and_the_map_moved(opened):
    page = opened("#layer=layer.1&grid=20")
    page.click(600, 380)
    page.until("document.querySelector('[data-testid=inspector]').checkVisibility()")
    assert "cell=" in page.run("location.hash")
    page.press("/", *"great white", "\ue007")
    page.until("location.hash.includes('class=great+white+shark')")
    page.until("document.querySelector('[data-testid=legend]').checkVisibility()")
    page.press("\ue00c", "\ue00c")
    before = settled(page)
    page.press("+", "+")
    page.until("location.hash.includes('at=')")
    assert np.abs(settled(page).astype(int) - before).mean() > 5, "the map is nearer"


def settled(page):
    before = page.pixels()
    while True:
        now = page.pixels()
        if np.array_equal(now, before):
            return now
        before = now
