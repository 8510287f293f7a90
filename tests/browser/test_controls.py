"""Every control of the page by mouse and by keyboard: classes, two maps, picking, paths, tour, table, gallery."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from actatlas.site import write_site
from actatlas.site.data import data_of, photos_value, script
from actatlas.store import paths
from actatlas.testing import FAKE_LABELS, fake_atlas

pytestmark = pytest.mark.browser
TOUR = [
    {"title": "Early", "link": "#layer=layer.0&grid=20&at=0.3,0.4,3", "text": ["The <b>first</b> layer."]},
    {"title": "Kites", "link": "#layer=layer.1&grid=20&class=kite", "text": ["A class."]},
]


@pytest.fixture(scope="module")
def found_out(tmp_path_factory, write_file):
    """An atlas with photos, whose network was looked into: a trace, a misunderstanding, a tour."""
    atlas = fake_atlas(tmp_path_factory.mktemp("found") / "atlas", layers=2, sides=(20,), icon_px=32)
    files = atlas.files
    cell = {"positions": 9, "photos": 4}
    files.write_json(
        paths.trace("layer.1", 20, 10, 10),
        {
            "layer": "layer.1", "grid": 20, "cell": "10,10", "photos": 12, "answer": 3.5,
            "origins": [
                {
                    "layer": "layer.0", "grid": 20, "lost_named": 0.4, "lost_random": 0.05,
                    "contributors": [{"cell": "6,7", "contribution": 0.31, **cell}],
                }
            ],
        },
    )  # fmt: skip
    arm = {"spot": {"share": 0.3, "corner": "top-left"}, "rate": 0.64, "interval": [0.4, 0.8]}
    weak = arm | {"rate": 0.04}
    proof = {
        "scored": 25, "patch": arm, "controls": {"noise": weak, "grey": weak, "other_patch": weak}, "icon": weak,
        "transfer": None, "example": "x",
    }  # fmt: skip
    proposal = {"rank": 1, "target": 2, "concept": "<i>baseball</i>", "k": 40}
    entry = {"proposal": proposal, "proof": proof, "told": "baseball taken for great white shark: turns 64%"}
    files.write_json(paths.confusion_list("layer.1"), {"grid": 20, "entries": [entry]})
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 30)).save(buffer, "PNG")
    files.write(paths.confusion_picture("layer.1", "patch", 1), buffer.getvalue())
    files.write_json(paths.TOUR, TOUR)
    files.write_arrays(
        paths.directions("layer.1"), {"shark-like": grid_of(atlas).means[4] - atlas.layer("layer.1").mean}
    )
    write_site(atlas, atlas.folder / "site", write_file)
    return atlas


@pytest.fixture(params=["file", "http"])
def looked_into(request, found_out, serve) -> str:
    site = found_out.folder / "site"
    return serve(site) if request.param == "http" else (site / "index.html").as_uri()


def hash_of(page) -> str:
    return page.evaluate("location.hash")


def grid_of(atlas, layer: str = "layer.1"):
    return atlas.layer(layer).grid(20)


# --- classes


def test_a_class_is_found_by_typing_and_dims_the_map(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    before = pixels(page)
    page.keyboard.press("/")
    field = page.get_by_test_id("class-search")
    field.press_sequentially("great wh")
    options = page.get_by_role("option")  # the photos' own columns are read when the field is first used
    expect(options).to_have_text(
        [re.compile("^great white shark$"), re.compile("^great white shark.*photos’ label$", re.S)]
    )
    page.keyboard.press("Enter")
    legend = page.get_by_test_id("legend")
    legend.wait_for()
    expect(legend.locator("h2")).to_have_text("great white shark")
    assert hash_of(page) == "#layer=layer.1&grid=20&class=great+white+shark"
    values = grid_of(found_out).attributions_over_mean[:, 2]
    legend.get_by_text(f"{values.max():.2f}", exact=True).wait_for()
    page.wait_for_function("() => document.querySelectorAll('[data-testid=follow] button').length === 8")
    settle(page)
    dimmed = pixels(page)
    grid, strong, faint = grid_of(found_out), int(values.argmax()), int(np.abs(values).argmin())
    assert apart(before, dimmed, place(page, grid.coordinates[strong])) < 8, "the strongest cell is not to be dimmed"
    assert apart(before, dimmed, place(page, grid.coordinates[faint])) > 25, "a cell that says nothing is to be dimmed"
    page.keyboard.press("Escape")
    expect(legend).to_be_hidden()
    assert hash_of(page) == "#layer=layer.1&grid=20"


def test_a_finger_chooses_a_class_and_nothing_that_lies_under_the_list(open_page, looked_into):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page(looked_into, "#layer=layer.1&grid=20", **phone)
    page.get_by_test_id("class-search").tap()
    page.get_by_test_id("class-search").fill("g")
    page.get_by_role("option").nth(1).wait_for()
    for option in page.get_by_role("option").all():
        option.wait_for()
        box = option.bounding_box()
        page.touchscreen.tap(box["x"] + 30, box["y"] + box["height"] / 2)
        page.wait_for_timeout(400)  # as long as a browser takes to make a click of a tap
        assert hash_of(page).startswith("#layer=layer.1&grid=20&")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_test_id("class-search").tap()
        page.get_by_test_id("class-search").fill("g")


def test_the_name_of_a_column_lists_what_it_holds(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    (column,) = [name for name in found_out.image_columns if name == "label"]
    page.get_by_test_id("class-search").fill(column)
    values = sorted(set(found_out.images[column]))
    notes = page.get_by_role("option").filter(has_text=f"photos’ {column}")
    expect(notes).to_have_count(min(len(values), 10))


def test_a_class_by_mouse_its_signs_and_its_strongest_cells(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    page.get_by_test_id("class-search").click()
    page.get_by_test_id("class-search").fill("kite")
    page.get_by_role("option").first.click()
    legend = page.get_by_test_id("legend")
    legend.get_by_role("button", name="against").click()
    assert hash_of(page).endswith("&class=kite&sign=against")
    values = grid_of(found_out, "layer.0").attributions_over_mean[:, FAKE_LABELS.index("kite")]
    column, row = grid_of(found_out, "layer.0").coordinates[int(values.argmin())].tolist()
    first = page.get_by_test_id("follow").locator("li").first.locator("button").first
    first.click()
    page.wait_for_selector("html[data-ready]")
    inspector = page.get_by_test_id("inspector")
    assert (inspector.get_attribute("data-layer"), inspector.get_attribute("data-column")) == ("layer.0", str(column))
    assert inspector.get_attribute("data-row") == str(row)
    legend.get_by_role("slider").fill("8")
    legend.get_by_role("button", name="Show the whole map").click()
    assert "class" not in hash_of(page)


def test_a_class_stays_when_the_layer_changes_and_comes_with_a_link(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.0&grid=20&class=kite")
    page.keyboard.press("]")
    page.wait_for_selector("html[data-ready]")
    assert hash_of(page) == "#layer=layer.1&grid=20&class=kite"
    page.go_back()
    page.wait_for_function("() => location.hash.includes('layer.0')")
    expect(page.locator("[data-layer='layer.0'][aria-pressed=true]")).to_have_count(1)
    page.evaluate("location.hash = '#layer=layer.0&class=nothing'")
    page.wait_for_function("() => document.querySelector('.status').textContent.includes('nothing')")


def test_a_channel_a_value_of_the_photos_and_likeness_dim_the_map_too(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20&cell=10,10")
    inspector = page.get_by_test_id("inspector")
    inspector.get_by_role("button", name=re.compile(r"^channel \d")).first.click()
    k = grid_of(found_out).coordinates.tolist().index([10, 10])
    channel = grid_of(found_out).strongest_channels(1)[0][k, 0]
    page.wait_for_function(f"() => location.hash.includes('channel={channel}')")
    inspector.get_by_role("button", name="Dim the map by likeness").click()
    page.wait_for_function("() => location.hash.includes('like=10,10')")
    inspector.get_by_role("button", name="Where do these photos go?").click()
    page.wait_for_function("() => location.hash.includes('photos=layer.1:20:10,10')")
    settle(page)
    expect(page.get_by_test_id("legend"), "the cell's own photos all pass through it").to_contain_text("100%")
    inspector.get_by_role("button", name="Dim the map by likeness").click()
    expect(inspector.get_by_role("button", name="… less that to")).to_have_count(0)
    inspector.locator("button.follow-cell").first.click()  # the nearest cell
    other = grid_of(found_out).coordinates[grid_of(found_out).nearest_cells(1)[0][k, 0]].tolist()
    page.wait_for_function(f"() => location.hash.includes('cell={other[0]},{other[1]}')")
    inspector.get_by_role("button", name="… less that to cell 10, 10").click()
    page.wait_for_function(f"() => location.hash.includes('like={other[0]},{other[1]}&unlike=10,10')")
    expect(page.get_by_test_id("legend")).to_contain_text(f"Like cell {other[0]}, {other[1]}, not 10, 10")
    page.reload()
    expect(page.get_by_test_id("legend"), "a link leads there").to_contain_text(", not 10, 10")
    page.keyboard.press("/")
    page.get_by_test_id("class-search").fill("ostrich")
    page.get_by_role("option").filter(has_text="photos’ label").click()
    page.wait_for_function("() => location.hash.includes('value=label:ostrich')")


def test_a_direction_that_somebody_named_dims_the_layers_that_have_it(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    page.get_by_test_id("class-search").fill("direction")
    page.get_by_role("option").filter(has_text="shark-like").click()
    page.wait_for_function("() => location.hash.includes('direction=shark-like')")
    legend = page.get_by_test_id("legend")
    expect(legend).to_contain_text("a direction of layer.1")
    expect(legend).to_contain_text("1.00")
    column, row = grid_of(found_out).coordinates[4].tolist()
    strongest = page.get_by_test_id("follow").locator("li")
    expect(strongest).to_have_count(1)
    expect(strongest.locator("button").first).to_have_attribute("title", re.compile(f"cell {column}, {row}: 1.00"))
    page.get_by_test_id("class-search").fill("shark-l")
    expect(page.get_by_role("option").filter(has_text="shark-like")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(legend).to_be_hidden()
    page.evaluate("location.hash = '#layer=layer.0&direction=shark-like'")
    page.wait_for_function("() => document.querySelector('.status').textContent.includes('no direction of that name')")


def test_all_classes_of_a_cell_can_be_sorted_and_searched(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20&cell=10,10")
    inspector = page.get_by_test_id("inspector")
    inspector.get_by_role("button", name=f"All {len(FAKE_LABELS)} classes").click()
    rows = inspector.locator(".class-table li")
    rows.first.wait_for()
    k = grid_of(found_out).coordinates.tolist().index([10, 10])
    order = np.argsort(-grid_of(found_out).attributions_over_mean[k], kind="stable")
    for at, i in enumerate(order[:3]):
        expect(rows.locator("button").nth(at)).to_have_text(FAKE_LABELS[i])
    inspector.get_by_role("button", name="most against").click()
    assert rows.locator("button").first.text_content() == FAKE_LABELS[order[-1]]
    inspector.get_by_role("textbox", name="Part of a class’s name").fill("FISH")
    expect(rows.locator("button")).to_have_text(["goldfish"])


# --- what was found out


def test_what_a_cell_is_made_of_leads_to_the_earlier_cell(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.1&grid=20&cell=10,10")
    made_of = page.get_by_test_id("made-of")
    made_of.get_by_role("button", name=re.compile("layer.0, cell 6,7: 31%")).click()
    assert "layer=layer.0" in hash_of(page) and "cell=6,7" in hash_of(page)
    page.locator("[data-testid=inspector][data-layer='layer.0']").wait_for()
    expect(page.get_by_test_id("made-of"), "no trace was made of that one").to_be_hidden()


def test_the_gallery_tells_each_story_with_its_proof(open_page, looked_into, found_out):
    page = open_page(looked_into)
    page.get_by_test_id("open-gallery").click()
    gallery = page.get_by_test_id("gallery")
    story = gallery.locator("article")
    story.wait_for()
    text = story.inner_text()
    assert "<i>baseball</i> → great white shark" in text and "64%" in text and "other patch" in text
    assert story.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 40
    story.get_by_role("button", name="Show it on the map").click()
    column, row = grid_of(found_out).coordinates[40].tolist()
    page.wait_for_function("() => location.hash.includes('class=great+white+shark')")
    expect(gallery).to_be_hidden()
    assert f"cell={column},{row}" in hash_of(page)
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    expect(gallery).to_be_visible()
    page.keyboard.press("Escape")
    expect(gallery).to_be_hidden()


def test_the_tour_goes_from_stop_to_stop(open_page, looked_into):
    page = open_page(looked_into)
    page.get_by_test_id("open-tour").click()
    tour = page.get_by_test_id("tour")
    tour.wait_for()
    expect(tour).to_contain_text("Stop 1 of 2")
    expect(tour).to_contain_text("The <b>first</b> layer.")
    page.wait_for_function("() => location.hash.includes('at=0.3,0.4,3')")
    page.keyboard.press(".")
    page.wait_for_function("() => location.hash.includes('class=kite')")
    expect(tour).to_contain_text("Kites")
    assert "at=" not in hash_of(page)
    assert tour.get_by_role("button", name="Next").is_disabled()
    tour.get_by_role("button", name="Before").click()
    page.wait_for_function("() => location.hash.includes('layer.0')")
    tour.get_by_role("button", name="End the tour").click()
    expect(tour).to_be_hidden()


def test_the_stop_of_the_tour_goes_with_the_history_and_comes_with_a_link(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    tour = page.get_by_test_id("tour")
    for number in (1, 2):
        page.keyboard.press(".")
        expect(tour).to_contain_text(f"Stop {number} of 2")
    settle(page)  # a browser drops a step that is taken while the page writes its address
    page.go_back()
    expect(tour).to_contain_text("Stop 1 of 2")
    page.wait_for_function("() => location.hash.includes('at=0.3,0.4,3')")
    settle(page)
    page.go_forward()
    expect(tour).to_contain_text("Stop 2 of 2")
    settle(page)
    page.go_back()
    expect(tour).to_contain_text("Stop 1 of 2")
    settle(page)
    page.go_back()
    expect(tour).to_be_hidden()
    page.evaluate("location.hash = '#layer=layer.1&stop=2'")
    expect(tour).to_contain_text("Kites")
    page.evaluate("location.hash = '#stop=7'")
    expect(tour).to_be_hidden()
    expect(page.get_by_role("status").first).to_contain_text("no stop 7")


@pytest.mark.parametrize("size", [(390, 844), (1000, 420), (1280, 800)])
def test_the_tours_buttons_are_always_within_its_panel(open_page, found_out, tmp_path, serve, size):
    shutil.copytree(found_out.folder / "site", tmp_path / "site")
    long = [{"title": "Long", "link": "#layer=layer.1&class=kite", "text": ["A long story. " * 80] * 3}, TOUR[1]]
    (tmp_path / "site" / "tour.js").write_bytes(script("tour", long))
    page = open_page(serve(tmp_path / "site"), "", viewport={"width": size[0], "height": size[1]})
    page.keyboard.press(".")
    tour = page.get_by_test_id("tour")
    for name in ("Next", "Before"):
        button = tour.get_by_role("button", name=name)
        expect(button).to_be_enabled()
        button.wait_for()  # the stops come with a script
        inner, outer = button.bounding_box(), tour.bounding_box()
        assert inner["y"] >= outer["y"] and inner["y"] + inner["height"] <= outer["y"] + outer["height"]
        button.click()  # and nothing lies over it


def test_what_one_click_does_is_one_step_back(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.0&grid=20")
    page.get_by_test_id("open-gallery").click()
    page.get_by_test_id("gallery").get_by_role("button", name="Show it on the map").click()
    page.wait_for_function("() => /layer=layer.1.*cell=.*class=/.test(location.hash)")
    page.go_back()
    page.wait_for_function("() => location.hash === '#layer=layer.0&grid=20'")


# --- how the map is drawn


def test_the_same_cells_show_icons_real_patches_and_averages(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    page.keyboard.press("n")
    settle(page)
    icons = pixels(page)
    page.get_by_test_id("view").locator("summary").click()
    page.get_by_test_id("view").get_by_role("button", name="Real patches").click()
    page.wait_for_selector("html[data-ready]")
    assert hash_of(page).endswith("&show=patches")
    page.keyboard.press("Escape")
    settle(page)
    patches = pixels(page)
    grid = grid_of(found_out)
    k = grid.coordinates.tolist().index([10, 4])
    x, y = (round(v) for v in place(page, (10, 4)))
    shown = patches[y - 8 : y + 9, x - 8 : x + 9].mean(axis=(0, 1))
    whole = np.asarray(grid.examples(k, 1)[0], np.float64)
    side = len(whole)
    middle = whole[side // 4 : -side // 4, side // 4 : -side // 4].mean(axis=(0, 1))
    assert np.abs(shown - middle).mean() < 20 < np.abs(icons - patches).mean()
    page.keyboard.press("v")
    page.wait_for_function("() => location.hash.endsWith('&show=average')")
    page.keyboard.press("v")
    page.wait_for_function("() => !location.hash.includes('show')")


def test_icons_shrink_by_what_their_cells_hold(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    page.keyboard.press("n")
    settle(page)
    before = pixels(page)
    page.get_by_test_id("view").locator("summary").click()
    page.get_by_test_id("view").get_by_role("slider").fill("1")
    page.keyboard.press("Escape")
    settle(page)
    after = pixels(page)
    grid = grid_of(found_out)
    order = np.argsort(grid.counts)
    edge = 12  # pixels from the middle: inside a whole icon, outside a small one
    few, many = (tuple(grid.coordinates[k]) for k in (order[3], order[-1]))
    assert apart(before, after, (place(page, few)[0] + edge, place(page, few)[1])) > 25
    assert apart(before, after, (place(page, many)[0] + edge, place(page, many)[1])) < 8
    assert apart(before, after, place(page, few)) < 8, "the middle of the icon stays"


# --- two maps


def test_two_layers_lie_side_by_side_and_move_together(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.1&grid=20&cell=10,10")
    page.get_by_test_id("open-compare").click()
    beside = page.get_by_test_id("map-beside")
    beside.wait_for()
    assert "beside=layer.0" in hash_of(page)
    settle(page)
    page.get_by_test_id("map").hover(position={"x": 200, "y": 300})
    page.mouse.wheel(0, -500)
    settle(page)
    found = re.search(r"at=([\d.]+),([\d.]+),([\d.]+)", hash_of(page))
    assert found and float(found[3]) > 1.2
    box = beside.bounding_box()
    page.mouse.click(box["x"] + 120, box["y"] + box["height"] / 2)
    assert "layer=layer.0&beside=layer.1" in hash_of(page), "a click on the other map works on that one"
    page.keyboard.press("x")
    assert "layer=layer.1&beside=layer.0" in hash_of(page)
    page.keyboard.press("c")
    expect(beside).to_have_count(0)
    assert "beside" not in hash_of(page)


def test_the_other_map_says_what_its_dimming_shows(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.1&beside=layer.0&grid=20&cell=10,10")
    note = page.get_by_test_id("beside-note")
    expect(note).to_contain_text("Where the photos of cell 10, 10 of layer.1 went, here")
    expect(note).to_contain_text("% in one cell")
    page.keyboard.press("Escape")
    expect(note).to_have_count(0)
    page.evaluate("location.hash = '#layer=layer.1&beside=layer.0&grid=20&class=kite'")
    expect(note).to_contain_text("What speaks for kite, here")
    for layer in ("layer.0", "layer.1"):  # on either map
        expect(note).to_contain_text("What speaks for kite, here")
        page.get_by_test_id("legend").wait_for()
        settle(page)
        box, frame = note.bounding_box(), page.get_by_test_id("legend").bounding_box()
        apart = box["x"] >= frame["x"] + frame["width"] or box["y"] >= frame["y"] + frame["height"]
        assert apart and box["width"] > 150, "it is not under the legend"
        page.keyboard.press("x")
        page.wait_for_function(f"() => location.hash.includes('layer={layer}')")
    page.keyboard.press("c")
    expect(note).to_have_count(0)


def test_a_map_between_two_classes_says_what_its_edges_mean(open_page, found_out, tmp_path, serve):
    site = tmp_path / "site"
    shutil.copytree(found_out.folder / "site", site)
    bare = open_page(serve(site), "#layer=layer.1&grid=20")
    settle(bare)
    without = pixels(bare)
    value = json.loads(data_of((site / "atlas.js").read_bytes()))
    value["layers"][1]["ends"] = [3, 2]
    (site / "atlas.js").write_bytes(script("atlas", value))
    page = open_page(serve(site), "#layer=layer.1&grid=20")
    settle(page)
    names = [FAKE_LABELS[i] for i in (3, 2)]
    expect(page.get_by_role("status").first).to_contain_text(f"Left: speaks for {names[0]}; right: for {names[1]}")
    drawn = np.abs(pixels(page) - without).max(axis=2) > 60
    left, top = place(page, (-0.5, -0.5))
    right, middle = place(page, (19.5, 9.5))
    above = drawn[int(top) - 22 : int(top)]
    assert above[:, int(left) : int(left) + 40].any() and above[:, int(right) - 40 : int(right)].any()
    assert drawn[int(middle) - 80 : int(middle) + 80, int(left) - 22 : int(left)].any(), "and what heights mean"
    page.keyboard.press("[")
    expect(page.get_by_role("status").first).not_to_contain_text("speaks for")


def test_a_link_opens_two_maps(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.0&beside=layer.1&grid=20")
    page.get_by_test_id("map-beside").wait_for()
    page.get_by_test_id("beside").select_option("layer.0")
    assert "layer=layer.0&beside=layer.0" in hash_of(page)
    page.get_by_role("button", name="One map").click()
    expect(page.get_by_test_id("map-beside")).to_have_count(0)


# --- picking, paths, the table


def test_cells_are_picked_by_box_by_lasso_by_click_and_by_numbers(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    grid = grid_of(found_out)
    page.get_by_test_id("tool-box").click()
    picked = page.get_by_test_id("picked")
    drag(page, [place(page, (6, 6)), place(page, (9, 8))])
    expect(picked).to_contain_text("12 cells")
    page.mouse.click(*place(page, (12, 12)))
    expect(picked).to_contain_text("13 cells")
    page.keyboard.press("l")
    drag(page, [place(page, at) for at in ((10, 5), (13, 5), (13, 8), (10, 8))])
    expect(picked.locator("p").first, "the middles that it goes round").to_have_text(re.compile(r"^(4|6|9) cells"))
    picked.get_by_role("button", name="Let all go").click()
    expect(picked).to_be_hidden()
    page.keyboard.press("l")
    drag(page, [place(page, at) for at in ((10, 5), (13, 5), (13, 8), (10, 8), (10, 5))])
    expect(picked.locator("p").first, "it ends where it began").to_have_text(re.compile(r"^(4|6|9) cells"))
    picked.get_by_role("button", name="Let all go").click()
    page.keyboard.press("b")
    expect(picked.get_by_role("button", name="CSV"), "nothing is picked").to_be_disabled()
    picked.get_by_role("textbox").fill("30-40, 50-60")
    picked.get_by_role("button", name="Pick", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("no cell in columns and rows 30-40, 50-60 of 20 × 20")
    picked.get_by_role("textbox").fill("3-6, 10-12")
    picked.get_by_role("button", name="Pick", exact=True).click()
    kept = [k for k, (c, r) in enumerate(grid.coordinates.tolist()) if 3 <= c <= 6 and 10 <= r <= 12]
    expect(picked).to_contain_text(f"{len(kept)} cells, {grid.counts[kept].sum():,} activations")
    page.keyboard.press("b")
    with page.expect_download() as waited:
        picked.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(waited.value.path()).read_text())))
    assert [(int(r["column"]), int(r["row"])) for r in rows] == [tuple(grid.coordinates[k].tolist()) for k in kept]
    with page.expect_download() as waited:
        picked.get_by_role("button", name="JSON").click()
    cells = json.loads(Path(waited.value.path()).read_text())
    ids = [np.cumsum(steps).tolist() for steps in photos_value(grid)]
    assert [cell["image_ids"] for cell in cells] == [ids[k] for k in kept]
    assert [cell["activations"] for cell in cells] == grid.counts[kept].tolist()


def test_a_cell_is_picked_by_key(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.1&grid=20&cell=10,10")
    page.keyboard.press("s")
    expect(page.get_by_test_id("picked")).to_contain_text("1 cell,")
    page.keyboard.press("s")
    expect(page.get_by_test_id("picked")).to_be_hidden()


def test_a_path_is_drawn_clicked_typed_by_keys_and_linked(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    page.get_by_test_id("tool-path").click()
    drag(page, [place(page, (5, 10)), place(page, (14, 10))], steps=12)
    strip = page.get_by_test_id("path")
    names = strip.get_by_role("listitem").get_by_role("button")
    titles = [name.split(":")[0] for name in names.evaluate_all("all => all.map((one) => one.title)")]
    assert titles == [f"Cell {column}, 10" for column in range(5, 15)]
    assert re.search(r"path=[\d.,;]+", hash_of(page))
    page.get_by_test_id("tool-look").click()
    names.nth(3).click()
    assert "cell=8,10" in hash_of(page)
    page.keyboard.press("d")
    assert strip.get_by_role("listitem").count() > 10
    strip.get_by_role("button", name="Take the path away").click()
    expect(strip).to_be_hidden()
    assert "path=" not in hash_of(page)
    page.evaluate("location.hash = '#layer=layer.1&grid=20&path=0.5,0.3;0.5,0.62'")
    page.wait_for_function("() => document.querySelectorAll('[data-testid=path] li').length === 7")


def test_on_a_phone_the_path_lies_over_no_button(open_page, looked_into):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page(looked_into, "#layer=layer.1&grid=20&path=0.3,0.5;0.7,0.5", **phone)
    page.get_by_test_id("path").wait_for()
    for name in ("Zoom in", "Whole map"):
        page.get_by_role("button", name=name).click(timeout=5_000)
    for tool in ("box", "path", "look"):
        page.get_by_test_id(f"tool-{tool}").click(timeout=5_000)
    low = page.get_by_test_id("tool-look").bounding_box()
    page.get_by_role("button", name="Take the path away").click()
    assert page.get_by_test_id("tool-look").bounding_box()["y"] > low["y"] + 60, "they are down again"


def test_the_whole_map_stands_beside_the_legend_where_there_is_room(open_page, looked_into):
    page = open_page(looked_into, "#layer=layer.1&grid=20", viewport={"width": 1280, "height": 800})
    settle(page)
    before = pixels(page)
    page.evaluate("location.hash = '#layer=layer.1&grid=20&class=kite'")
    page.get_by_test_id("legend").wait_for()
    settle(page)
    assert "at=" not in hash_of(page), "it is the whole map still"
    box = page.get_by_test_id("legend").bounding_box()
    left, _ = place(page, (-0.5, 10))
    assert left < box["x"] + box["width"], "otherwise this shows nothing"
    page.keyboard.press("Escape")
    settle(page, before)


def test_the_table_has_every_cell_and_can_be_sorted_without_a_mouse(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    grid = grid_of(found_out)
    page.keyboard.press("t")
    table = page.get_by_test_id("table")
    expect(table).to_contain_text(f"{len(grid)} cells")
    table.get_by_role("button", name="Activations").press("Enter")
    table.get_by_role("columnheader").filter(has_text="Activations ↓").wait_for()
    shown = [int(text.replace(",", "")) for text in table.locator("tbody tr td:nth-child(3)").all_inner_texts()]
    assert shown == sorted(grid.counts.tolist(), reverse=True)[: len(shown)]
    table.get_by_role("textbox").fill("ostrich")
    table.locator("tbody tr").first.get_by_role("checkbox").check()
    first = table.locator("tbody tr").first.locator("td").nth(1).inner_text()
    table.locator("tbody tr").first.get_by_role("button").click()
    expect(table).to_be_hidden()
    assert f"cell={first.replace(' ', '')}" in hash_of(page)
    expect(page.get_by_test_id("picked")).to_contain_text("1 cell,")


def test_the_view_is_saved_as_a_picture_where_the_browser_allows_it(open_page, found_out, serve):
    page = open_page(serve(found_out.folder / "site"), "#layer=layer.1&grid=20&class=kite")
    settle(page)
    with page.expect_download() as waited:
        page.get_by_test_id("open-picture").click()
    saved = np.asarray(Image.open(waited.value.path()).convert("RGB"), np.float64)
    assert saved.shape[1] > 700 and saved.std() > 20


def test_two_maps_are_saved_side_by_side(open_page, found_out, serve):
    page = open_page(serve(found_out.folder / "site"), "#layer=layer.1&beside=layer.0&grid=20&class=kite")
    settle(page)
    with page.expect_download() as waited:
        page.get_by_test_id("open-picture").click()
    assert waited.value.suggested_filename == "layer.1-beside-layer.0.png"
    saved = np.asarray(Image.open(waited.value.path()).convert("RGB"), np.float64)
    width = page.get_by_test_id("map").bounding_box()["width"]
    assert abs(saved.shape[1] - 2 * width) <= 4
    height = int(page.get_by_test_id("map").bounding_box()["height"])
    halves = saved[:, : int(width)], saved[:, -int(width) + 2 :]
    assert all(half[:height].std() > 20 for half in halves)
    below = [half[height + 4 :] for half in halves]
    assert below[0].shape[0] >= 18, "under each map stands what it shows"
    assert all((half < 90).mean() > 0.005 for half in below)


def test_a_link_to_what_is_shown_is_copied(open_page, found_out, serve):
    page = open_page(serve(found_out.folder / "site"), "#layer=layer.1&grid=20&class=kite")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_test_id("view").locator("summary").click()
    page.get_by_test_id("view").get_by_role("button", name="Copy a link to this view").click()
    expect(page.get_by_test_id("view")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_page_from_a_double_click_says_why_it_saves_no_picture(open_page, found_out):
    page = open_page((found_out.folder / "site" / "index.html").as_uri())
    page.get_by_test_id("open-picture").click()
    expect(page.get_by_role("status").first).to_contain_text("double click")


def test_names_of_regions_come_and_go_by_key(open_page, looked_into, found_out):
    page = open_page(looked_into, "#layer=layer.1&grid=20")
    settle(page)
    named = pixels(page)
    page.keyboard.press("n")
    settle(page)
    bare = pixels(page)
    assert np.abs(named - bare).mean() > 0.05
    page.keyboard.press("n")
    settle(page, named)


# --- helpers


def settle(page, at: np.ndarray | None = None) -> None:
    """Until two screenshots are alike; or until one is as `at`, since two that are alike may both be from before.

    A busy browser draws a rounded corner anew with pixels one level of 255 apart: what is that near is as `at`.
    """
    before = b""
    for _ in range(40):
        now = page.screenshot()
        if (now == before) if at is None else np.abs(at - _pixels_of(now)).max() <= 1:
            return
        before = now
        page.wait_for_timeout(80)
    raise AssertionError("the page does not come to rest" if at is None else "the page does not become as it was")


def pixels(page) -> np.ndarray:
    return _pixels_of(page.screenshot())


def _pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float64)


def place(page, coordinate, side: int = 20) -> tuple[float, float]:
    """The middle of a square on the whole map, on the screen."""
    box = page.get_by_test_id("map").bounding_box()
    px = min(box["width"], box["height"]) / 1.07
    left, top = box["x"] + (box["width"] - px) / 2, box["y"] + (box["height"] - px) / 2
    column, row = (int(v) for v in coordinate)
    return left + (column + 0.5) * px / side, top + (row + 0.5) * px / side


def apart(a: np.ndarray, b: np.ndarray, at: tuple[float, float]) -> float:
    x, y = (round(v) for v in at)
    return float(np.abs(a[y - 3 : y + 4, x - 3 : x + 4] - b[y - 3 : y + 4, x - 3 : x + 4]).mean())


def drag(page, points, steps: int = 6) -> None:
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=steps)
    page.mouse.up()
