"""The journeys of a newcomer on the real four-layer atlas that ships, from a double click and from a web server."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from actatlas.demo import shipped_atlas

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shipped():
    return shipped_atlas()


@pytest.fixture(params=["file", "http"])
def page(request, shipped, serve, open_page):
    site = shipped.folder / "site"
    address = serve(site) if request.param == "http" else (site / "index.html").as_uri()
    return open_page(address, viewport={"width": 1280, "height": 800})


def hash_of(page) -> str:
    return page.evaluate("location.hash")


def test_the_tour_leads_through_all_its_stops(page, shipped):
    page.get_by_test_id("open-tour").click()
    tour = page.get_by_test_id("tour")
    tour.wait_for()
    stops = shipped.files.read_json("tour.json")
    for number, stop in enumerate(stops, 1):
        tour.get_by_text(f"Stop {number} of {len(stops)}").wait_for()
        expect(tour).to_contain_text(stop["title"])
        page.wait_for_selector("html[data-ready]")
        wanted = re.search(r"layer=([^&]+)", stop["link"])[1]
        page.wait_for_function(f"() => location.hash.startsWith('#layer={wanted}')")
        assert "is-problem" not in page.locator(".status").get_attribute("class"), "every stop leads somewhere"
        if number < len(stops):
            tour.get_by_role("button", name="Next").click()


def test_a_class_is_followed_through_the_layers(page, shipped):
    page.keyboard.press("/")
    page.get_by_test_id("class-search").press_sequentially("french lo")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('[data-testid=follow] button').length === 16")
    index = shipped.class_names.find("French loaf")
    for name, row in zip(shipped.layer_names, page.get_by_test_id("follow").locator("li").all(), strict=True):
        grid = shipped.layer(name).grid(20)
        best = grid.coordinates[int(grid.attributions_over_mean[:, index].argmax())].tolist()
        assert f"cell {best[0]}, {best[1]}:" in row.locator("button").first.get_attribute("title")
    for name in reversed(shipped.layer_names):
        page.wait_for_function(f"() => location.hash.startsWith('#layer={name}&')")
        assert "class=French+loaf" in hash_of(page)
        page.wait_for_selector("html[data-ready]")
        page.keyboard.press("[")


def test_synonyms_and_wordnet_ids_find_a_class(page):
    for typed in ("n02119022", "Vulpes vulpes", "277"):
        page.get_by_test_id("class-search").fill(typed)
        page.get_by_role("option").first.wait_for()
        expect(page.get_by_role("option").first).to_have_text(re.compile("^red fox"))


def test_misunderstandings_stand_in_the_gallery_with_their_proof(page):
    page.keyboard.press("m")
    stories = page.get_by_test_id("gallery").locator("article")
    stories.first.wait_for()
    stories.nth(7).wait_for()
    shares = [int(re.search(r"turns (\d+)%", text)[1]) for text in stories.locator("p").all_inner_texts()]
    assert max(shares) >= 20 and np.mean(shares) > 10
    stories.first.get_by_role("button", name="Show it on the map").click()
    page.get_by_test_id("legend").wait_for()
    page.wait_for_function("() => location.hash.includes('class=') && location.hash.includes('cell=')")


def test_a_cell_says_what_it_is_made_of_and_what_lies_near(page, shipped):
    index = shipped.class_names.find("fire engine")
    grid = shipped.layer("blocks.15.expanded").grid(20)
    column, row = grid.coordinates[int(grid.attributions[:, index].argmax())].tolist()
    page.evaluate(f"location.hash = '#layer=blocks.15.expanded&grid=20&cell={column},{row}'")
    made_of = page.get_by_test_id("made-of")
    made_of.get_by_role("button").first.wait_for()
    made_of.get_by_role("button").nth(5).wait_for()
    expect(made_of).to_contain_text("of the answer goes")
    page.get_by_test_id("inspector").get_by_role("button", name=re.compile(r"^Cell \d+, \d+: cosine")).first.click()
    page.wait_for_function(f"() => !location.hash.includes('cell={column},{row}')")


def test_four_layers_side_by_side_in_turn(page, shipped):
    page.keyboard.press("c")
    page.get_by_test_id("map-beside").wait_for()
    for name in shipped.layer_names[:3]:
        page.get_by_test_id("beside").select_option(name)
        page.wait_for_function(f"() => location.hash.includes('beside={name}')")
    page.get_by_test_id("open-table").click()
    table = page.get_by_test_id("table")
    expect(table).to_contain_text(f"{len(shipped.layer('blocks.15.expanded').grid(20))} cells")
    page.keyboard.press("Escape")
    page.get_by_test_id("open-lab").click()
    expect(page.get_by_test_id("lab"), "without a server the lab says why it is closed").to_have_text(re.compile(r"\S"))
