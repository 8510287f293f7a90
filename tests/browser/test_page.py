"""The page in a real browser, from a double click and from a web server."""

from __future__ import annotations

import base64
import io
import re
import shutil
import threading
import urllib.parse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from actatlas.atlas import Atlas
from actatlas.lab import Lab
from actatlas.progress import Silent
from actatlas.server import make_server
from actatlas.site import SiteSettings, single_file, write_own_site, write_site
from actatlas.store import paths
from actatlas.testing import FAKE_LABELS, cell_code, code_of, fake_atlas, kept_cells

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def test_the_cell_in_the_card_is_the_cell_under_the_pointer(open_page, address):
    page = open_page(address)
    rng = np.random.default_rng(0)
    cells = outside = 0
    for layer, side in ((0, 20), (2, 40), (3, 20)):
        page.get_by_test_id("layers").locator(f"[data-layer='layer.{layer}']").click()
        page.get_by_test_id("grids").locator(f"[data-grid='{side}']").click()
        page.wait_for_selector("html[data-ready]")
        for zoom in ("whole", "near"):
            if zoom != "whole":
                page.mouse.move(*rng.integers((400, 250), (700, 450)).tolist())
                page.mouse.wheel(0, -400)
            page.mouse.move(5, 5)
            pixels = settled(page)
            for x, y in map_points(page, rng, 28):
                colour = flat_colour(pixels, x, y)
                if colour is None:
                    continue
                page.mouse.move(x, y)
                card = told(page.get_by_test_id("card"))
                if is_background(page, colour):
                    assert card is None, f"a card over nothing at {x}, {y}: {card}"
                    outside += 1
                    continue
                assert card is not None, f"no card at {x}, {y} of layer.{layer}, {side} × {side}"
                assert (card["layer"], card["grid"]) == (f"layer.{layer}", side)
                assert code_of(colour) == cell_code(layer, side, card["column"], card["row"]), f"at {x}, {y}: {card}"
                cells += 1
        page.keyboard.press("0")
    assert cells > 40 and outside > 4


def test_the_card_goes_along_when_the_map_moves_under_the_pointer(open_page, address):
    page = open_page(address, "#layer=layer.1&grid=40")
    page.mouse.move(500, 350)
    before = told(page.get_by_test_id("card"))
    page.keyboard.press("Shift+ArrowRight")
    settled(page)
    after = told(page.get_by_test_id("card"))
    assert after["row"] == before["row"] and after["column"] > before["column"]
    page.mouse.down()
    page.mouse.move(440, 350, steps=4)
    assert told(page.get_by_test_id("card")) is None, "a card is in the way while the map is dragged"
    page.mouse.up()
    assert told(page.get_by_test_id("card")) == after, "the cell was dragged along with the pointer"


def test_automatic_grids_go_with_the_zoom(open_page, address):
    page = open_page(address)
    page.mouse.move(500, 350)
    assert told(page.get_by_test_id("card"))["grid"] == 20
    for _ in range(6):
        page.mouse.wheel(0, -400)
        settled(page)
    page.wait_for_selector("html[data-ready]")
    page.mouse.move(5, 5)
    x, y, colour = flat_point(settled(page), 500, 350)
    page.mouse.move(x, y)
    card = told(page.get_by_test_id("card"))
    assert card["grid"] == 40 and code_of(colour) == cell_code(3, 40, card["column"], card["row"])
    link = page.evaluate("location.hash")
    assert re.fullmatch(r"#layer=layer\.3&at=[\d.]+,[\d.]+,[\d.]+", link), (
        "an automatic grid is no choice to be linked to"
    )


def test_a_link_opens_its_cell(open_page, address, atlas):
    page = open_page(address, "#layer=layer.2&grid=20&cell=12,7")
    inspector = page.get_by_test_id("inspector")
    inspector.wait_for()
    grid = atlas.layer("layer.2").grid(20)
    k = grid.coordinates.tolist().index([12, 7])
    shown = told(inspector)
    assert shown == {"layer": "layer.2", "grid": 20, "column": 12, "row": 7, "count": int(grid.counts[k])}
    text = inspector.inner_text()
    assert f"{grid.counts[k]:,}" in text and f"{grid.image_counts[k]:,} photos" in text
    assert f"{grid.cosine[k]:.2f}" in text and f"{grid.cohesion[k]:.2f}" in text
    classes, values = grid.top_classes(5)
    told_classes = inspector.locator(".class-name").all_text_contents()
    assert told_classes == [FAKE_LABELS[i] for i in classes[k]]
    expect(inspector.locator(".class-value").first).to_have_text(f"{values[k][0]:.2f}")


def test_a_click_opens_a_cell_and_the_address_follows(open_page, address):
    page = open_page(address, "#layer=layer.0&grid=40&note=kept")
    page.mouse.move(5, 5)
    x, y, colour = flat_point(settled(page), 555, 300)
    page.mouse.click(x, y)
    shown = told(page.get_by_test_id("inspector"))
    assert code_of(colour) == cell_code(0, 40, shown["column"], shown["row"])
    link = f"#layer=layer.0&grid=40&cell={shown['column']},{shown['row']}&note=kept"
    assert page.evaluate("location.hash") == link
    page.keyboard.press("Escape")
    assert told(page.get_by_test_id("inspector")) is None
    page.evaluate("location.hash = '#layer=layer.1&grid=20&cell=9,9'")
    page.get_by_test_id("inspector").wait_for()
    assert told(page.get_by_test_id("inspector"))["layer"] == "layer.1"


def test_another_layer_keeps_the_place(open_page, address):
    page = open_page(address, "#layer=layer.0&grid=40&cell=18,20")
    page.mouse.move(440, 330)
    page.mouse.wheel(0, -500)
    page.mouse.move(5, 5)
    before = settled(page)
    points = [flat_point(before, x, y) for x, y in ((400, 250), (460, 420), (340, 520), (300, 300))]
    page.keyboard.press("]")
    page.wait_for_selector("html[data-ready]")
    after = settled(page)
    for x, y, colour in points:
        here = code_of(flat_colour(after, x, y, tolerance=30))
        assert (here - code_of(colour)) % 12**3 == cell_code(1, 40, 0, 0) - cell_code(0, 40, 0, 0), f"at {x}, {y}"
    shown = told(page.get_by_test_id("inspector"))
    assert (shown["layer"], shown["column"], shown["row"]) == ("layer.1", 18, 20)
    assert page.evaluate("location.hash").startswith("#layer=layer.1&grid=40&cell=18,20&at=")


def test_labels_titles_and_origins_with_markup_reach_the_page_as_text(open_page, address, atlas):
    classes, _ = atlas.layer("layer.0").grid(20).top_classes(1)
    k = classes[:, 0].tolist().index(FAKE_LABELS.index(next(name for name in FAKE_LABELS if "<" in name)))
    column, row = atlas.layer("layer.0").grid(20).coordinates[k].tolist()
    page = open_page(address, f"#layer=layer.0&grid=20&cell={column},{row}")
    page.get_by_test_id("inspector").wait_for()
    label = page.get_by_test_id("inspector").locator(".class-name").first
    assert label.text_content() == FAKE_LABELS[int(classes[k, 0])]
    expect(page.locator("img[src='x'], h1 b")).to_have_count(0)
    assert page.locator("h1").first.text_content() == atlas.title == page.title()
    page.get_by_role("button", name="About", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(atlas.origin)
    expect(dialog).to_contain_text("not a photo")
    card = dialog.get_by_test_id("atlas-card")
    expect(card).to_contain_text(atlas.plan["network"]["weights_sha256"])
    expect(card.locator("tbody tr")).to_have_count(8)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_patches_are_the_cells_own(open_page, pictured, serve):
    site = pictured.folder / "site"
    grid = pictured.layer("layer.1").grid(20)
    k = grid.coordinates.tolist().index([6, 9])
    expected = [np.asarray(p.resize((8, 8), Image.Resampling.BOX), np.float64) for p in grid.examples(k, 12)]
    others = [np.asarray(p.resize((8, 8), Image.Resampling.BOX), np.float64) for p in grid.examples(k + 1, 12)]
    page = open_page(serve(site), "#layer=layer.1&grid=20&cell=6,9")
    page.get_by_test_id("inspector").wait_for()
    page.wait_for_load_state("networkidle")
    canvases = page.get_by_test_id("inspector").locator(".patches canvas")
    urls = canvases.evaluate_all("all => all.map((canvas) => canvas.toDataURL())")
    assert len(urls) == len(expected) == 12
    shown = [np.asarray(from_data_url(u).resize((8, 8), Image.Resampling.BOX), np.float64) for u in urls]
    own = [np.abs(a - b).mean() for a, b in zip(shown, expected, strict=False)]
    foreign = [np.abs(a - b).mean() for a, b in zip(shown, others, strict=False)]
    assert max(own) < 12 < np.mean(foreign)
    page.mouse.move(500, 300)
    page.get_by_test_id("card").locator(".patches canvas").nth(2).wait_for()


def test_patches_load_from_a_double_click_too(open_page, pictured):
    page = open_page((pictured.folder / "site" / "index.html").as_uri(), "#layer=layer.1&grid=20&cell=6,9")
    page.get_by_test_id("inspector").wait_for()
    box = page.get_by_test_id("inspector").locator(".patches canvas").first.bounding_box()
    x, y = int(box["x"]), int(box["y"])
    patch = settled(page)[y : y + int(box["height"]), x : x + int(box["width"])]
    grid = pictured.layer("layer.1").grid(20)
    expected = np.asarray(grid.examples(grid.coordinates.tolist().index([6, 9]), 1)[0], np.float64)
    assert np.abs(patch.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 8


def test_a_patch_opens_its_photo_with_its_place_on_it(open_page, pictured, serve, tmp_path, write_file):
    page_file = write_site(pictured, tmp_path / "site", write_file, settings=SiteSettings("originals"))
    page = open_page(serve(page_file.parent), "#layer=layer.1&grid=20&cell=6,9")
    inspector = page.get_by_test_id("inspector")
    third = inspector.get_by_role("button", name="real patch 3: its photo")
    third.click()
    place = inspector.locator(".photo-place")
    place.wait_for()
    page.wait_for_function("() => document.querySelector('.photo img').complete")
    inspector.locator(".photo-frame").scroll_into_view_if_needed()
    box = {name: int(round(value)) for name, value in place.bounding_box().items()}
    inside = (box["x"] + 3, box["y"] + 3, box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)  # within its lines
    cut = Image.fromarray(settled(page)).crop(inside).resize((32, 32))
    patch = from_data_url(third.locator("canvas").evaluate("canvas => canvas.toDataURL()")).resize((32, 32))
    other = from_data_url(inspector.locator(".patches canvas").nth(3).evaluate("canvas => canvas.toDataURL()")).resize(
        (32, 32)
    )
    near, far = (np.abs(np.asarray(cut, float) - np.asarray(one, float)).mean() for one in (patch, other))
    assert near < 15 < far
    page.keyboard.press("Enter")
    expect(inspector.locator(".photo"), "a second time puts it away").to_be_hidden()


def test_an_exported_page_is_the_same_page_and_asks_for_nothing(open_page, pictured, tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes(single_file(pictured, SiteSettings("thumbs"), Silent()))
    # It lies alone in its folder: whatever it asked for would fail, and open_page notes that.
    page = open_page(file.as_uri(), "#layer=layer.1&grid=20&cell=6,9")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    inspector = page.get_by_test_id("inspector")
    inspector.wait_for()
    assert told(inspector)["layer"] == "layer.1" and told(inspector)["column"] == 6
    urls = inspector.locator(".patches canvas").evaluate_all("all => all.map((canvas) => canvas.toDataURL())")
    grid = pictured.layer("layer.1").grid(20)
    expected = np.asarray(grid.examples(grid.coordinates.tolist().index([6, 9]), 1)[0].resize((8, 8)), np.float64)
    assert len(urls) == 12 and np.abs(np.asarray(from_data_url(urls[0]).resize((8, 8)), float) - expected).mean() < 12
    inspector.get_by_role("button", name="real patch 1: its photo").click()
    page.wait_for_function("() => document.querySelector('.photo img')?.naturalWidth > 0")
    page.keyboard.press("Escape")
    page.get_by_test_id("layers").locator("[data-layer='layer.0']").click()
    page.wait_for_selector("html[data-ready]")
    page.mouse.move(5, 5)
    x, y, colour = flat_point(settled(page), 500, 350)
    page.mouse.move(x, y)
    card = told(page.get_by_test_id("card"))
    assert card["layer"] == "layer.0" and code_of(colour) == cell_code(0, 20, card["column"], card["row"])
    assert [url for url in asked if not url.startswith("data:")] == []


def test_an_address_that_leads_nowhere_is_told_and_the_map_stays_usable(open_page, address):
    page = open_page(address, "#layer=nowhere&grid=7&cell=3,3")
    status = page.get_by_role("status")
    expect(status).to_contain_text("nowhere")
    expect(status).to_contain_text("7 × 7")
    page.mouse.move(500, 350)
    assert told(page.get_by_test_id("card")) is not None
    page.evaluate("location.hash = '#layer=layer.0&grid=20&cell=20,3'")
    expect(status).to_contain_text("outside")


def test_keys_go_from_cell_to_cell(open_page, address):
    page = open_page(address, "#layer=layer.0&grid=20&cell=10,10")
    inspector = page.get_by_test_id("inspector")
    inspector.wait_for()
    for key, place in (
        ("ArrowRight", (11, 10)),
        ("ArrowDown", (11, 11)),
        ("ArrowLeft", (10, 11)),
        ("ArrowUp", (10, 10)),
    ):
        page.keyboard.press(key)
        assert (told(inspector)["column"], told(inspector)["row"]) == place
    for _ in range(30):
        page.keyboard.press("ArrowUp")
    settled(page)
    column, row = told(inspector)["column"], told(inspector)["row"]
    assert [column, row] in kept_cells(0, 20).tolist() and row == 0
    page.keyboard.press("g")
    expect(page.locator("[data-grid='40'][aria-pressed=true]")).to_have_count(1)


def test_a_tap_on_a_phone_opens_the_cell_and_nothing_is_cut_off(open_page, address):
    page = open_page(address, "#layer=layer.0&grid=20", **PHONE)
    for button in page.locator(".corner button").all():
        lies = button.bounding_box()
        assert lies["x"] >= 0 and lies["x"] + lies["width"] <= 390 and min(lies["width"], lies["height"]) >= 24
    box = page.get_by_test_id("map").bounding_box()
    x, y = int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2 - 40)
    x, y, colour = flat_point(settled(page)[::2, ::2], x, y)  # two pixels of the screen are one of the page
    page.touchscreen.tap(x, y)
    page.get_by_test_id("inspector").wait_for()
    shown = told(page.get_by_test_id("inspector"))
    assert code_of(colour) == cell_code(0, 20, shown["column"], shown["row"])
    assert told(page.get_by_test_id("card")) is None
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    sheet = page.get_by_test_id("inspector").bounding_box()
    assert (sheet["x"], sheet["width"]) == (0, 390) and sheet["y"] > 300


def test_the_minimap_moves_the_map(open_page, address):
    page = open_page(address, "#layer=layer.0&grid=20")
    page.mouse.move(500, 380)
    for _ in range(4):
        page.mouse.wheel(0, -500)
        settled(page)
    box = page.get_by_test_id("minimap").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    settled(page)
    map_box = page.get_by_test_id("map").bounding_box()
    page.mouse.move(map_box["x"] + map_box["width"] / 2, map_box["y"] + map_box["height"] / 2)
    card = told(page.get_by_test_id("card"))
    assert card["column"] in (4, 5, 6) and card["row"] in (4, 5, 6)


def test_an_atlas_of_a_class_opens_beside_the_layers(open_page, tmp_path, write_file):
    atlas = fake_atlas(tmp_path / "atlas", layers=2, sides=(6,))
    layer = atlas.layer("layer.1")
    home, files = paths.class_home(layer.name, "class-3"), atlas.files
    for path in [p for p in files.committed(layer.home) if "/grids/6/" in p]:
        files.write_arrays(home + path.removeprefix(layer.home), files.read_arrays(path))
    rows = np.arange(len(layer.places.image_ids))
    files.write_arrays(f"{paths.chosen(home)}.safetensors", {"rows": rows, "scores": rows.astype(np.float32)})
    facts = {"class": 3, "title": FAKE_LABELS[3], "layer": layer.name, "activations": 96, "images": 24, "coverage": 0.5}
    files.write_json(f"{paths.chosen(home)}.json", facts | {"settings": {}})
    page = open_page(write_site(type(atlas)(files), tmp_path / "site", write_file).as_uri())
    name = f"{FAKE_LABELS[3]} · layer.1"
    assert "layer.1" in page.evaluate("decodeURIComponent(location.hash)"), "a layer is opened first, not a class"
    strip = page.get_by_test_id("layers")
    expect(strip.locator(".strip-end")).to_have_text(["early", "late", "classes"])
    expect(strip.locator("button")).to_have_count(3)
    strip.locator("button").last.click()
    page.wait_for_selector("html[data-ready]")
    page.mouse.move(5, 5)
    x, y, colour = flat_point(settled(page), 555, 300)
    page.mouse.move(x, y)
    shown = told(page.get_by_test_id("card"))
    assert shown["layer"] == name
    assert code_of(colour) == cell_code(1, 6, shown["column"], shown["row"]), "its icons are those of layer.1's cells"
    assert f"layer={urllib.parse.quote_plus(name)}" in page.evaluate("location.hash")


def test_a_growing_atlas_shows_grey_squares_that_say_so(open_page, tmp_path, write_file):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(20,), photos=0, painted=0.5, icon_px=32)
    page = open_page(write_site(atlas, tmp_path / "site", write_file).as_uri(), "#layer=layer.0&grid=20&cell=10,18")
    page.get_by_test_id("inspector").wait_for()
    expect(page.get_by_test_id("inspector")).to_contain_text("still to be painted")
    expect(page.get_by_test_id("inspector").locator(".patches")).to_have_count(0)
    expect(page.get_by_role("status")).to_contain_text("painted so far")
    expect(page.locator("header").first).to_contain_text("800 photos, 12,800 activations")
    expect(page.get_by_test_id("grids").get_by_role("button")).to_have_text(["20"])


def test_icons_appear_on_an_open_page_as_they_are_painted(open_page, tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(20,), photos=0, painted=0.5, icon_px=32)
    write_own_site(atlas, Silent())
    whole = fake_atlas(tmp_path / "whole", layers=1, sides=(20,), photos=0, icon_px=32)
    icons = paths.icon_chunks(paths.home("layer.0"), 20)
    coming = [path for path in whole.files.committed(icons) if not atlas.files.has(path)]
    k = int(whole.files.read_arrays(coming[0], ["rows"])["rows"][0])
    column, row = whole.layer("layer.0").grid(20).coordinates[k].tolist()
    server = make_server(atlas.folder, lab=Lab(atlas.folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/index.html"
        page = open_page(address, f"#layer=layer.0&grid=20&cell={column},{row}")
        inspector = page.get_by_test_id("inspector")
        expect(inspector).to_contain_text("still to be painted")
        before = settled(page)
        atlas.files.write(coming[0], whole.files.read_bytes(coming[0]))
        expect(inspector).not_to_contain_text("still to be painted", timeout=20_000)
        box = page.locator(".ring-selected").bounding_box()
        x, y = round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)
        assert np.ptp(before[y, x].astype(int)) < 12, "it was grey"
        for _ in range(80):  # its tiles come after what is told of it
            if code_of(picture(page)[y, x]) == cell_code(0, 20, column, row):
                break
            page.wait_for_timeout(250)
        else:
            raise AssertionError("the cell's icon does not appear on the map")
        for path in coming[1:]:
            atlas.files.write(path, whole.files.read_bytes(path))
        growing = Atlas(atlas.files)
        write_own_site(growing, Silent())
        atlas.files.finish({})
        expect(page.locator("header").first).not_to_contain_text("still being painted", timeout=20_000)
        expect(page.get_by_role("status").first).not_to_contain_text("so far")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_estimate_from_some_photos_says_how_sure_it_is(open_page, tmp_path, write_file):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(20,), photos=0, icon_px=16)
    grid = atlas.layer("layer.0").grid(20)
    attributions = grid.attributions
    files = atlas.files
    files.write_arrays(
        paths.cell_attributions(paths.home("layer.0"), 20),
        {"attributions": attributions, "errors": np.full_like(attributions, 0.25), "photos": np.full(len(grid), 16)},
    )
    page = open_page(
        write_site(Atlas(files), tmp_path / "site", write_file).as_uri(), "#layer=layer.0&grid=20&cell=10,10"
    )
    inspector = page.get_by_test_id("inspector")
    expect(inspector.locator(".class-value").first).to_have_text(re.compile(r"^\d\.\d\d ± 0\.25$"))
    expect(inspector).to_contain_text("Estimated from 16 photos of the cell")


def test_an_atlas_of_one_cell_is_a_page_too(open_page, tmp_path, write_file, monkeypatch):
    monkeypatch.setattr("actatlas.testing.fake.kept_cells", lambda layer, side: np.array([[1, 1]], np.int32))
    atlas = fake_atlas(tmp_path / "atlas", layers=2, sides=(2,), photos=4, icon_px=32)
    page = open_page(write_site(atlas, tmp_path / "site", write_file).as_uri(), "#layer=layer.1&grid=2&cell=1,1")
    inspector = page.get_by_test_id("inspector")
    expect(inspector).to_contain_text("Cell 1, 1")
    expect(inspector).not_to_contain_text("Nearest cells")
    for key in ("ArrowLeft", "[", "c", "x", "t", "Escape", "v", "n", "g", "0", "b"):
        page.keyboard.press(key)
    expect(page.get_by_role("status").first).to_contain_text("2 × 2")


def test_a_thousand_classes_with_very_long_names_are_found_and_stay_in_their_panels(open_page, tmp_path, write_file):
    labels = [f"{'very ' * 40}long {'x' * 120} name of class {i}" for i in range(1000)]
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(20,), photos=0, icon_px=16, labels=labels)
    page = open_page(write_site(atlas, tmp_path / "site", write_file).as_uri(), "#layer=layer.0&grid=20&cell=10,10")
    page.get_by_test_id("inspector").wait_for()
    page.keyboard.press("/")
    page.get_by_test_id("class-search").press_sequentially("class 977")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("legend").locator("h2")).to_contain_text("name of class 977")
    wide = page.evaluate(
        """() => [...document.querySelectorAll(".side, .inspector, .top, .status")]
            .filter((one) => one.checkVisibility())
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 1
                || one.scrollWidth > one.clientWidth + 1)
            .map((one) => one.className)"""
    )
    assert wide == []


def test_a_missing_file_is_told_in_a_sentence(browser, site, tmp_path):
    copy = shutil.copytree(site, tmp_path / "site")
    (copy / "layers" / "layer.3" / "20" / "cells.js").unlink()
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    page = context.new_page()
    page.goto((copy / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    message = page.get_by_role("status")
    expect(message).to_contain_text("layers/layer.3/20/cells.js could not be read")
    page.keyboard.press("[")
    page.wait_for_selector("html[data-ready]")
    page.mouse.move(500, 350)
    assert told(page.get_by_test_id("card"))["layer"] == "layer.2"
    (copy / "atlas.js").unlink()
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("atlas.js could not be read")
    context.close()


# --- reading the page


def picture(page) -> np.ndarray:
    """(H, W, 3) uint8 of the viewport."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def settled(page) -> np.ndarray:
    """The viewport once nothing in it changes any more."""
    before = picture(page)
    for _ in range(300):
        page.wait_for_timeout(50)
        now = picture(page)
        if np.array_equal(before, now):
            return now
        before = now
    raise AssertionError("the page does not come to rest")


def told(element) -> dict | None:
    """What a card or inspector says that it is about; None while it is hidden."""
    data = element.evaluate("(e) => (e.checkVisibility() ? {...e.dataset} : null)")
    return data and {"layer": data["layer"]} | {name: int(data[name]) for name in ("grid", "column", "row", "count")}


def map_points(page, rng, count: int) -> list[list[int]]:
    """Random points of the map, clear of what lies over it and of its shadow."""
    shares = rng.random((4 * count, 2)).tolist()
    return page.evaluate(
        """([shares, count]) => {
            const boxOf = (selector) => document.querySelector(selector).getBoundingClientRect();
            const map = boxOf("[data-testid=map]");
            const over = [boxOf(".corner"), boxOf("[role=status]")];
            const isBeside = (b, x, y) => x < b.left - 32 || x > b.right + 32 || y < b.top - 32 || y > b.bottom + 32;
            const isClear = ([x, y]) => over.every((b) => isBeside(b, x, y));
            const inside = (low, length, share) => Math.floor(low + 3 + share * (length - 6));
            const points = shares.map(([x, y]) => [inside(map.left, map.width, x), inside(map.top, map.height, y)]);
            return points.filter(isClear).slice(0, count);
        }""",
        [shares, count],
    )


def flat_colour(pixels: np.ndarray, x: int, y: int, tolerance: int = 4, reach: int = 2) -> tuple[int, ...] | None:
    """The colour at a point, or None where a border is so near that the screen mixes two cells."""
    around = pixels[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].reshape(-1, 3).astype(int)
    return tuple(np.median(around, axis=0).astype(int).tolist()) if np.ptp(around, axis=0).max() <= tolerance else None


def flat_point(pixels: np.ndarray, x: int, y: int) -> tuple[int, int, tuple[int, ...]]:
    """The nearest point to the right and below where no border is near, and its colour."""
    for step in range(40):
        colour = flat_colour(pixels, x + step, y + step)
        if colour is not None:
            return x + step, y + step, colour
    raise AssertionError(f"no flat colour near {x}, {y}")


def is_background(page, colour) -> bool:
    text = page.evaluate("getComputedStyle(document.querySelector('.stage')).backgroundColor")
    return all(abs(int(a) - b) <= 1 for a, b in zip(re.findall(r"\d+", text)[:3], colour, strict=True))


def from_data_url(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")
