"""The patch lab in a real browser, over the packaged network: what the page shows is what the network says."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
import shutil
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

from actatlas.atlas import open as open_atlas
from actatlas.lab import Lab
from actatlas.server import make_server

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
LAYER = "blocks.9.expanded"


@pytest.fixture(scope="module")
def served_lab(small_atlas):
    """The page of a small atlas on our own server, its lab open."""
    with serving(small_atlas, Lab(small_atlas)) as address:
        yield address


class serving:
    def __init__(self, folder, lab):
        self.server = make_server(folder, lab=lab)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/index.html"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def opened(open_page, address, hash="", **options):
    """The page with its lab open and its first photo judged."""
    page = open_page(address, hash, **options)
    page.get_by_test_id("open-lab").click()
    page.locator("[data-testid=lab-bars] li").first.wait_for()
    return page


def settled(page):
    """What is shown once nothing is asked any more: {class: (before, after)}."""
    page.locator("[data-testid=lab][data-ready]").wait_for()
    rows = page.locator("[data-testid=lab-bars] li").evaluate_all(
        "rows => rows.map(r => [r.dataset.class, r.dataset.before, r.dataset.after])"
    )
    return {int(index): (float(before), None if after is None else float(after)) for index, before, after in rows}


def seen(page) -> Image.Image:
    """What the board shows, in pixels of the network's input."""
    url = page.locator(".lab-photo").evaluate("canvas => canvas.toDataURL('image/png')")
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def chances(network, picture) -> np.ndarray:
    pixels = torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)
    with torch.no_grad():
        return network.module(network.normalize(pixels[None]))[0].softmax(dim=0).numpy()


def agrees(network, page):
    shown = settled(page)
    expected = chances(network, seen(page))
    assert int(expected.argmax()) in shown
    for index, (before, after) in shown.items():
        assert (before if after is None else after) == pytest.approx(expected[index], abs=3e-3), index
    return shown


def a_cell(small_atlas, number=5):
    grid = open_atlas(small_atlas).layer(LAYER).grid(4)
    return f"#layer={LAYER}&grid=4&cell={','.join(map(str, grid.coordinates[number].tolist()))}"


def patch_box(page):
    """The patch's left, top, right and bottom, as fractions of the board."""
    board, patch = (page.get_by_test_id(name).bounding_box() for name in ("lab-board", "lab-patch"))
    left, top = (patch["x"] - board["x"]) / board["width"], (patch["y"] - board["y"]) / board["height"]
    return left, top, left + patch["width"] / board["width"], top + patch["height"] / board["height"]


def test_a_patch_is_dragged_over_a_photo_and_the_bars_say_what_the_network_makes_of_it(
    open_page, served_lab, small_atlas, network
):
    page = opened(open_page, served_lab, a_cell(small_atlas))
    before = agrees(network, page)
    photo = seen(page)
    assert np.array_equal(np.asarray(photo), np.asarray(network.preprocessing.crop(first_photo(small_atlas))))

    page.get_by_test_id("lab-cell-patches").get_by_role("button", name="real patch 1", exact=True).click()
    agrees(network, page)
    board = page.get_by_test_id("lab-board").bounding_box()
    page.mouse.move(board["x"] + board["width"] / 2, board["y"] + board["height"] / 2)
    page.mouse.down()
    page.mouse.move(board["x"] + 0.9 * board["width"], board["y"] + 0.25 * board["height"], steps=12)
    page.mouse.up()
    shown = agrees(network, page)
    assert all(after is not None for _, after in shown.values())
    assert max(abs(after - before_) for before_, after in shown.values()) > 0.01, "the patch does something"
    left, top, right, bottom = patch_box(page)
    assert right == pytest.approx(1, abs=0.01) and (top + bottom) / 2 == pytest.approx(0.25, abs=0.02)
    changed = (np.asarray(seen(page), int) != np.asarray(photo, int)).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    for found, told in ((columns[0], left), (columns[-1] + 1, right), (rows[0], top), (rows[-1] + 1, bottom)):
        assert found == pytest.approx(224 * told, abs=3)

    page.get_by_test_id("lab-remove").click()
    assert settled(page).keys() == before.keys() and np.array_equal(np.asarray(seen(page)), np.asarray(photo))


def first_photo(small_atlas):
    return open_atlas(small_atlas).source.read(0)


def test_keys_move_and_size_the_patch_and_not_the_map(open_page, served_lab, small_atlas, network):
    page = opened(open_page, served_lab, a_cell(small_atlas))
    address = page.evaluate("location.hash")
    page.get_by_test_id("lab-cell-patches").get_by_role("button", name="icon").focus()
    page.keyboard.press("Enter")
    patch = page.get_by_test_id("lab-patch")
    patch.wait_for()
    assert patch.evaluate("element => element === document.activeElement")
    start = patch_box(page)
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowDown"):
        page.keyboard.press(key)
    moved = patch_box(page)
    assert moved[0] - start[0] == pytest.approx(0.04, abs=0.005) and moved[1] - start[1] == pytest.approx(
        0.08, abs=0.005
    )
    page.keyboard.press("+")
    assert patch_box(page)[2] - patch_box(page)[0] == pytest.approx(start[2] - start[0] + 0.05, abs=0.01)
    for _ in range(20):
        page.keyboard.press("-")
    assert patch_box(page)[2] - patch_box(page)[0] == pytest.approx(0.05, abs=0.01)
    agrees(network, page)
    page.get_by_test_id("lab-size").fill("0.5")
    assert patch_box(page)[2] - patch_box(page)[0] == pytest.approx(0.5, abs=0.01)
    agrees(network, page)
    patch.focus()
    page.keyboard.press("Delete")
    expect(patch).to_be_hidden()
    assert page.evaluate("location.hash") == address, "the map has not moved"

    page.keyboard.press("Escape")
    expect(page.get_by_test_id("lab"), "the focus stays in the panel when the patch is gone").to_be_hidden()
    page.get_by_test_id("open-lab").focus()
    page.keyboard.press("a")
    expect(page.get_by_test_id("lab")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("lab")).to_be_hidden()
    assert page.get_by_test_id("open-lab").evaluate("element => element === document.activeElement")


def test_a_finger_drags_the_patch_on_a_phone(open_page, served_lab, small_atlas, network):
    page = opened(open_page, served_lab, a_cell(small_atlas), **PHONE)
    page.get_by_test_id("lab-cell-patches").get_by_role("button", name="icon").tap()
    settled(page)
    board = page.get_by_test_id("lab-board").bounding_box()
    assert board["width"] > 120 and page.evaluate("document.documentElement.scrollWidth") <= 390
    touch = page.context.new_cdp_session(page)
    for step in range(7):
        share = 0.5 - 0.05 * step
        point = {"x": board["x"] + share * board["width"], "y": board["y"] + (1 - share) * board["height"]}
        kind = "touchStart" if step == 0 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    left, top, right, bottom = patch_box(page)
    assert ((left + right) / 2, (top + bottom) / 2) == (pytest.approx(0.2, abs=0.02), pytest.approx(0.8, abs=0.02))
    agrees(network, page)


def test_suggested_patches_are_laid_where_they_were_tried_and_do_what_is_said(open_page, served_lab, network):
    page = opened(open_page, served_lab)
    page.get_by_test_id("lab-suggest").click()
    first = page.locator("[data-testid=lab-suggestions] button").first
    first.wait_for()
    name, before, after = re.search(r"\n(.+) ([<>]?\d+%) → ([<>]?\d+%)$", first.inner_text()).groups()
    first.click()
    shown = agrees(network, page)
    index = network.labels.index(name)
    if index in shown:  # one of the likeliest, before or after
        for told, share in ((before, shown[index][0]), (after, shown[index][1])):
            assert percent(share) == told
    left, top, right, bottom = patch_box(page)
    assert {left > 0.01, right < 0.99} == {top > 0.01, bottom < 0.99} == {False, True}, "it lies in a corner"


def percent(share):
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{int(100 * share + 0.5)}%"


def test_photos_are_found_by_what_they_show(open_page, served_lab, small_atlas, network):
    page = opened(open_page, served_lab)
    strip = page.get_by_test_id("lab-photos").locator("[data-photo]")
    expect(strip).to_have_count(24)
    name = strip.nth(7).get_attribute("title").partition(", ")[2]
    page.get_by_test_id("lab-query").fill(name)
    page.locator("[data-photo]").nth(23).wait_for(state="detached")
    assert {title.partition(", ")[2] for title in strip.evaluate_all("all => all.map(e => e.title)")} == {name}
    strip.first.click()
    number = int(strip.first.get_attribute("data-photo"))
    agrees(network, page)
    photo = open_atlas(small_atlas).source.read(number)
    assert np.array_equal(np.asarray(seen(page)), np.asarray(network.preprocessing.crop(photo)))


def test_a_photo_and_a_patch_of_ones_own_are_judged(open_page, served_lab, network, tmp_path):
    page = opened(open_page, served_lab)
    photo = Image.linear_gradient("L").resize((500, 300)).convert("RGB")
    photo.paste((10, 120, 30), (0, 0, 250, 300))
    photo.save(tmp_path / "own.png")
    page.get_by_test_id("lab-own-photo").set_input_files(tmp_path / "own.png")
    page.locator("[data-photo][aria-pressed=true]").wait_for(state="detached")
    agrees(network, page)
    assert np.array_equal(np.asarray(seen(page)), np.asarray(network.preprocessing.crop(photo)))

    Image.new("RGB", (80, 40), (255, 0, 255)).save(tmp_path / "patch.webp", lossless=True)
    page.get_by_test_id("lab-own-patch").set_input_files(tmp_path / "patch.webp")
    page.get_by_test_id("lab-patch").wait_for()
    agrees(network, page)
    left, top, right, bottom = patch_box(page)
    assert (right - left) / (bottom - top) == pytest.approx(2, rel=0.05)
    pink = (np.asarray(seen(page)) == (255, 0, 255)).all(axis=2)
    assert pink.sum() == pytest.approx((right - left) * (bottom - top) * 224**2, rel=0.05)


def dropped(element) -> list[bool]:
    """A red picture of 256 × 256 px is dropped there; whether the browser would then do with it what it does."""
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (200, 30, 10)).save(buffer, "PNG")
    script = """(target, base64) => {
      const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "red.png", { type: "image/png" }));
      return ["dragover", "drop"].map((type) =>
        target.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })));
    }"""
    return element.evaluate(script, base64.b64encode(buffer.getvalue()).decode())


def test_a_file_that_is_dropped_becomes_the_photo(open_page, served_lab, network):
    page = opened(open_page, served_lab)
    dropped(page.get_by_test_id("lab"))
    page.locator("[data-photo][aria-pressed=true]").wait_for(state="detached")
    agrees(network, page)
    assert seen(page).getpixel((100, 100)) == (200, 30, 10)


def test_a_photo_that_is_dropped_on_the_map_opens_the_lab_and_lights_up_its_cells(open_page, served_lab, network):
    page = open_page(served_lab)
    assert dropped(page.get_by_test_id("map")) == [False, False], "the browser would leave the page for the photo"
    page.get_by_test_id("legend").get_by_text("Lit by your photo").wait_for()
    agrees(network, page)
    assert seen(page).getpixel((100, 100)) == (200, 30, 10)


def test_the_cells_that_a_photo_lights_up_are_marked_layer_by_layer(open_page, served_lab, small_atlas):
    page = opened(open_page, served_lab)
    page.get_by_test_id("lab-lights").click()
    legend = page.get_by_test_id("legend")
    legend.get_by_text("Lit by photo 0").wait_for()
    strip = page.get_by_test_id("follow")
    strip.locator("button").nth(4).wait_for()
    told = Lab(small_atlas).answer("lights", {"photo": {"id": 0}, "side": 4})["layers"]
    for item, layer in zip(strip.locator("li").all(), told, strict=True):
        titles = item.locator("button").evaluate_all("all => all.map(e => e.title)")
        expected = [f"{layer['layer']}, cell {c}, {r}: {percent(share)}" for c, r, share, _ in layer["cells"][:4]]
        assert titles[0] == expected[0] and len(titles) == min(len(layer["cells"]), 4)
    page.locator("[data-layer='blocks.4.expanded']").first.click()
    page.wait_for_selector("html[data-ready]")
    expect(legend.get_by_text("Lit by photo 0"), "it holds in every layer").to_be_visible()
    assert "lights" not in page.evaluate("location.hash")


def test_a_better_icon_stands_beside_the_maps_and_can_be_pasted(open_page, served_lab, small_atlas, network):
    page = opened(open_page, served_lab, a_cell(small_atlas, 2))
    page.get_by_test_id("lab-better-icon").click()
    icons = page.get_by_test_id("lab-icons")
    icons.locator("figure").nth(1).wait_for(timeout=300_000)
    cell = open_atlas(small_atlas).layer(LAYER).grid(4).cell(2)
    old, new = icons.locator("figcaption").all_inner_texts()
    assert f"cosine {cell.icon.cosine:.2f}" in old and "128 steps" in new
    assert re.search(r"cosine 0\.\d\d", new)
    expect(page.get_by_test_id("lab-better-icon")).to_have_text("Larger, 67 px")
    icons.get_by_role("button", name="use as patch").click()
    agrees(network, page)


def test_the_parts_of_a_cell_are_painted_in_its_panel(open_page, served_lab, small_atlas):
    page = open_page(served_lab, a_cell(small_atlas, 2))
    page.get_by_test_id("facets-ask").click()
    parts = page.get_by_test_id("facets").locator("li")
    parts.first.wait_for(timeout=300_000)
    cell = open_atlas(small_atlas).layer(LAYER).grid(4).cell(2)
    told = parts.all_inner_texts()
    assert sum(int(re.match(r"([\d,]+) activation", text)[1].replace(",", "")) for text in told) == cell.count
    assert all(re.search(r"cosine 0\.\d\d, (identified|\d+ cells? nearer)", text) for text in told)
    expect(parts.first.locator(".near canvas").first).to_be_visible()
    expect(page.get_by_test_id("facets-ask")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_lab(open_page, served_lab, scheme, breaches):
    page = opened(open_page, served_lab, color_scheme=scheme)
    assert breaches(page) == []


@pytest.mark.parametrize("way", ["file", "http"])
def test_a_copy_without_a_server_of_ours_says_how_to_open_the_lab(open_page, small_atlas, serve, way):
    site = small_atlas / "site"
    page = open_page((site / "index.html").as_uri() if way == "file" else serve(site))
    page.keyboard.press("a")
    text = page.get_by_test_id("lab").inner_text()
    assert "nobody is here to ask" in text and "actatlas view DIR" in text and 'pip install "actatlas[build]"' in text
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("lab")).to_be_hidden()


def test_without_torch_the_lab_says_which_extra_opens_it_and_opens_when_it_is_there(
    open_page, small_atlas, monkeypatch
):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *r: None if name == "torch" else found(name, *r))
    with serving(small_atlas, Lab(small_atlas)) as address:
        page = open_page(address)
        page.keyboard.press("a")
        closed = page.get_by_test_id("lab-closed")
        closed.wait_for()
        expect(closed).to_have_text(re.compile("^The lab is closed: the patch lab needs torch"))
        expect(closed).to_contain_text('pip install "actatlas[build]"')
        monkeypatch.undo()
        page.keyboard.press("a")
        page.keyboard.press("a")
        page.locator("[data-testid=lab-bars] li").first.wait_for()


def test_a_growing_atlas_says_that_the_lab_opens_later_and_opens_it(open_page, small_atlas, tmp_path):
    folder = shutil.copytree(small_atlas, tmp_path / "atlas")
    manifest = (folder / "manifest.json").rename(tmp_path / "manifest.json")
    with serving(folder, Lab(folder)) as address:
        page = open_page(address)
        page.keyboard.press("a")
        page.get_by_test_id("lab-closed").wait_for()
        expect(page.get_by_test_id("lab-closed")).to_contain_text("still being built")
        manifest.rename(folder / "manifest.json")
        expect(page.locator("[data-testid=lab-bars] li").first).to_be_visible(timeout=60_000)


def test_what_goes_wrong_is_said_in_the_panel_and_the_page_goes_on(browser, served_lab, small_atlas, tmp_path):
    """With a context of its own: here the browser is to meet an answer of 400, and a server that is gone."""
    context = browser.new_context(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    errors = []
    with serving(small_atlas, Lab(small_atlas)) as address:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.keyboard.press("a")
        page.locator("[data-testid=lab-bars] li").first.wait_for()
        (tmp_path / "no.png").write_bytes(b"<b>no picture</b>")
        page.get_by_test_id("lab-own-photo").set_input_files(tmp_path / "no.png")
        page.get_by_text("this picture cannot be used: not a JPEG, PNG").wait_for()
        expect(page.locator("[data-testid=lab-bars] li"), "the photo before is still judged").to_have_count(5)
        page.locator("[data-photo='3']").click()
        page.locator(".lab-problem:empty").wait_for(state="attached")
        settled(page)
        context.set_offline(True)
        page.locator("[data-photo='5']").click()
        page.get_by_text("The lab does not answer").wait_for()
        context.close()
    assert errors == []


def test_between_lab_and_a_cells_panel_there_is_room_for_the_map(served_lab, open_page):
    page = opened(open_page, served_lab, "#grid=4&cell=1,1&class=goldfish", viewport={"width": 1280, "height": 800})
    legend, inspector = page.get_by_test_id("legend"), page.get_by_test_id("inspector")
    expect(legend).to_be_visible()
    stage = page.get_by_test_id("map").bounding_box()
    covered = inspector.bounding_box()["width"] + 14
    assert stage["width"] - covered >= 430
    assert legend.bounding_box()["width"] <= 220 and legend.bounding_box()["height"] <= 140
