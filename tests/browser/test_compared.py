"""The page of a comparison says of a cell what the two networks make of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import actatlas
from actatlas.testing.small import small_photos

PHOTOS = 480


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Of two networks, the second of which scatters the photos of one of the first's four kinds."""
    folder = tmp_path_factory.mktemp("compared")
    photos = [str(path) for path in sorted(small_photos(folder / "photos", PHOTOS).iterdir())]
    random, kind = np.random.default_rng(0), np.arange(PHOTOS) % 4
    centres = random.normal(size=(4, 12)) * 3
    first = centres[kind] + random.normal(size=(PHOTOS, 12))
    second = np.where((kind == 0)[:, None], random.normal(size=(PHOTOS, 12)) * 4, first)
    for name, vectors in (("first", first), ("second", second)):
        actatlas.build_from_vectors(vectors, photos, out=folder / name, progress=False)
    return actatlas.compare(folder / "first", folder / "second", out=folder / "both", icons=False, progress=False)


def whole(share: float) -> int:
    """Of a hundred, as the page rounds."""
    return math.floor(100 * share + 0.5)


def test_card_and_inspector_show_the_numbers_of_the_comparison(compared, open_page):
    cells = json.loads((compared.folder / "comparison.json").read_text())["cells"]
    cell = max(cells, key=lambda value: (value["vanishing"], value["count"]))
    assert cell["vanishing"] > 0, "what the second network scatters vanishes"
    side = compared.value["settings"]["grid"]
    name = compared.found.layers[0].atlas.folder.name
    first = actatlas.open(compared.folder).layer_names[0]
    page = open_page(compared.page.as_uri(), f"#layer={first}&grid={side}&cell={cell['column']},{cell['row']}")
    inspector = page.get_by_test_id("inspector")
    inspector.wait_for()
    said = inspector.inner_text()
    assert "In both networks" in said
    for words, share in (
        ("the same neighbours in both", cell["overlap"]),
        (f"of what {name} holds together, second keeps", cell["kept_of_first"]),
        ("of cells that vanish", cell["vanishing"]),
    ):
        assert f"{words}\n{whole(share)}%" in said, said
    page.keyboard.press("Escape")
    box = page.get_by_test_id("map").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    card = page.get_by_test_id("card")
    card.wait_for()
    at = next(
        c
        for c in cells
        if (str(c["column"]), str(c["row"])) == tuple(card.get_attribute(f"data-{axis}") for axis in ("column", "row"))
    )
    assert f"{whole(at['overlap'])}% the same neighbours" in card.inner_text()
