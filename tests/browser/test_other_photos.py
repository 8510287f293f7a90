"""Other photos on a real atlas's page: what is told, and the map dimmed by it."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect

import actatlas
from actatlas.atlas import Atlas
from actatlas.progress import Silent
from actatlas.site.writer import renew_own_site
from actatlas.store import AtlasFolder

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_with_others(small_atlas, drawn_photos, network, tmp_path_factory, serve):
    """Of half of the atlas's own photos: none of them is its own neighbour."""
    folder = tmp_path_factory.mktemp("others") / "atlas"
    shutil.copytree(small_atlas, folder)
    photos = sorted(drawn_photos.iterdir())[::2]
    actatlas.open(folder).project(photos, name="Every second", layers=["blocks.9.expanded"], model=network)
    renew_own_site(Atlas(AtlasFolder.existing(folder)), Silent())
    return serve(folder / "site")


def test_what_was_found_is_told_and_shown_on_the_map(page_with_others, browser, breaches):
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(page_with_others)
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("o")
    dialogue = page.get_by_test_id("projections")
    expect(dialogue).to_contain_text("Every second: 12 photos")
    expect(dialogue).to_contain_text("of the atlas's own")
    assert breaches(page) == []
    dialogue.get_by_role("button", name="Show it on the map").first.click()
    legend = page.get_by_test_id("legend")
    expect(legend).to_contain_text("Reach of every-second")
    expect(legend).to_contain_text("×")
    expect(legend.get_by_role("button", name="fewer")).to_be_visible()
    assert "reach=every-second" in page.url
    again = browser.new_page()
    again.goto(page.url)  # a link leads there
    expect(again.get_by_test_id("legend")).to_contain_text("Reach of every-second")
    for opened in (page, again):
        opened.close()
