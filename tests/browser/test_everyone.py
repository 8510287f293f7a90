"""The page for everyone: axe-core's rules, targets that a finger finds, visible focus, cells that are spoken."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
STATES = {
    "the map": ("", None),
    "a cell": ("#layer=layer.1&grid=20&cell=10,10", None),
    "a class": ("#layer=layer.1&grid=20&class=kite", None),
    "two maps": ("#layer=layer.1&beside=layer.0&grid=20&cell=10,10", None),
    "a path": ("#layer=layer.1&grid=20&path=0.3,0.5;0.7,0.5", None),
    "picking": ("", "b"),
    "the table": ("", "t"),
    "the about page": ("", "?"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(open_page, pictured, serve, state, scheme, breaches):
    hash_, key = STATES[state]
    page = open_page(serve(pictured.folder / "site"), hash_, color_scheme=scheme)
    if key is not None:
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert breaches(page) == []


def test_axe_finds_nothing_on_a_phone(open_page, pictured, serve, breaches):
    page = open_page(serve(pictured.folder / "site"), "#layer=layer.1&grid=20&cell=10,10", **PHONE)
    page.get_by_test_id("inspector").wait_for()
    assert breaches(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_on_a_phone_both_maps_stay_above_the_sheet_of_a_cell(open_page, pictured, serve):
    page = open_page(serve(pictured.folder / "site"), "#layer=layer.1&beside=layer.0&grid=20&cell=10,10", **PHONE)
    sheet = page.get_by_test_id("inspector").bounding_box()
    for name in ("map", "map-beside"):
        box = page.get_by_test_id(name).bounding_box()
        assert box["height"] > 100
        assert box["y"] + box["height"] <= sheet["y"] + 1


def test_in_forced_colours_what_is_chosen_and_pressed_can_still_be_told(open_page, pictured, serve, breaches):
    page = open_page(
        serve(pictured.folder / "site"), "#layer=layer.1&grid=20&cell=10,10&class=kite", forced_colors="active"
    )
    page.get_by_test_id("inspector").wait_for()
    looks = page.evaluate(
        """() => {
            const look = (one) => ["borderColor", "outlineColor", "outlineStyle", "backgroundColor", "color"]
                .map((name) => getComputedStyle(one)[name]).join();
            const [pressed, other] = ["true", "false"].map((state) =>
                document.querySelector(`[data-testid=layers] [aria-pressed=${state}]`));
            const ring = getComputedStyle(document.querySelector(".ring-selected"));
            return [look(pressed), look(other), ring.borderStyle, ring.borderWidth, ring.outlineStyle];
        }"""
    )
    assert looks[0] != looks[1], "the layer that is shown"
    assert looks[2] != "none" or looks[4] != "none", "the ring round the chosen cell"
    assert breaches(page) == []


def test_every_target_is_24_pixels_or_more(open_page, pictured, serve):
    page = open_page(serve(pictured.folder / "site"), "#layer=layer.1&grid=20&cell=10,10&class=kite")
    page.get_by_test_id("inspector").wait_for()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, summary, [role=option]")]
            .filter((one) => one.checkVisibility() && !one.disabled)
            .map((one) => [one.getBoundingClientRect(), one.textContent || one.ariaLabel])
            .filter(([box]) => Math.min(box.width, box.height) < 23.5)
            .map(([box, name]) => `${name} ${box.width} x ${box.height}`)"""
    )
    assert small == []


def test_every_control_can_be_reached_by_tab_and_shows_its_focus(open_page, pictured, serve):
    page = open_page(serve(pictured.folder / "site"), "#layer=layer.1&grid=20&cell=10,10")
    page.get_by_test_id("inspector").wait_for()
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, summary, [tabindex='0']")]
            .filter((one) => one.checkVisibility() && !one.disabled).length"""
    )
    seen, bare = set(), []
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        name, has_ring = page.evaluate(
            """() => {
                const one = document.activeElement;
                one.dataset.visited ??= String(Math.random());
                return [one.dataset.visited, getComputedStyle(one).outlineStyle !== "none" || one === document.body];
            }"""
        )
        if not has_ring:
            bare.append(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
        seen.add(name)
    assert bare == []
    assert len(seen) >= wanted, f"{len(seen)} of {wanted} controls were reached"


def test_the_cell_is_spoken_as_the_cursor_moves(open_page, pictured, serve):
    page = open_page(serve(pictured.folder / "site"), "#layer=layer.1&grid=20&cell=10,10")
    page.get_by_test_id("inspector").wait_for()
    spoken = page.locator("[aria-live=polite].spoken")
    assert spoken.text_content().startswith("Cell 10, 10 of 20: ")
    page.get_by_test_id("map").focus()
    page.keyboard.press("ArrowRight")
    assert spoken.text_content().startswith("Cell 11, 10 of 20: ")
    assert "activations" in spoken.text_content() and "photos" in spoken.text_content()
