"""Markup in all that a page shows of others' words: labels, title, origin, file names, columns and their values."""

from __future__ import annotations

import itertools
import re
import threading
from pathlib import Path

import pandas as pd
import pytest

from actatlas.progress import Silent
from actatlas.server import make_server
from actatlas.site import write_own_site
from actatlas.testing import fake_atlas

WEB = Path(__file__).parents[2] / "web" / "src"
RUN = "window.__x=1"
FORMS = (
    "<script>{run}</script>", "<img src=x onerror={run}>", "<svg onload={run}>", '"><img src=x onerror="{run}">',
    "'><svg/onload='{run}'>", "</script><script>{run}</script>", "</title><script>{run}</script>",
    "<iframe srcdoc='<script>parent.{run}</script>'>", "<a href='javascript:{run}'>go</a>", "javascript:{run}//",
    "<body onload={run}>", "<details open ontoggle={run}>", "<input autofocus onfocus={run}>",
    "<!--><img src=x onerror={run}>", "<style>@import 'data:,';</style>",
    "<link rel=stylesheet href=//evil.example/x>", "<meta http-equiv=refresh content=0>",
    "<base href=//evil.example/>", "<form action=//evil.example><button>", "<object data='data:text/html,{run}'>",
    "<embed src='data:text/html,x'>", "<math><mi xlink:href='javascript:{run}'>",
    "<template><script>{run}</script></template>", "<noscript><p title='</noscript><img src=x onerror={run}>'>",
    "{{{{constructor.constructor('{run}')()}}}}", "${{{run}}}", "`${{{run}}}`", "*/{run}/*", "';{run}//",
    '";{run}//', "\\u003cscript\\u003e{run}", "&lt;script&gt;{run}&lt;/script&gt;",
    "&#60;img src=x onerror={run}&#62;", "%3Cscript%3E{run}%3C/script%3E", "\u2028{run}\u2029",
    "<\u0000script>{run}", "\uff1cscript\uff1e{run}", "<scr<script>ipt>{run}</script>",
)  # fmt: skip
TWISTS = (lambda t: t, str.upper, lambda t: t.replace("<", "<\t"), lambda t: f"  {t}  ]]>")
PAYLOADS = list(dict.fromkeys(f"{i} {twist(form.format(run=RUN))}" for i, (form, twist) in enumerate(
    itertools.product(FORMS, TWISTS))))  # fmt: skip


# The texts of the table's cells, once for each word in its filter.
FILTERED = """words => words.map(word => {
  const table = document.querySelector("[data-testid=table]"), field = table.querySelector("input[type=text]");
  field.value = word;
  field.dispatchEvent(new Event("input"));
  return [...table.querySelectorAll("tbody td")].map(cell => cell.textContent);
})"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """(its atlas, the address of its page) as actatlas view shows it."""
    folder = tmp_path_factory.mktemp("hostile")
    atlas = fake_atlas(folder / "atlas", layers=1, sides=(20,), icon_px=16, labels=PAYLOADS)
    files = atlas.files
    photos = sorted((folder / "photos").iterdir())
    named = []
    for photo, payload in zip(photos, PAYLOADS[:: len(PAYLOADS) // len(photos)], strict=False):
        named.append(photo.rename(photo.with_name(re.sub("[/\0]", "", payload)[:200] + ".png")))
    plan = files.read_json("plan.json")
    column = "<img src=x onerror=window.__x=1>"
    plan |= {"title": "</title><script>window.__x=1</script>", "origin": f"of {PAYLOADS[1]}"}
    plan["images"] |= {"columns": [column], "listed": len(named)}
    table = pd.DataFrame({"id": range(len(named)), "path": named, column: PAYLOADS[: len(named)]})
    with files.reopened():
        files.write_json("plan.json", plan)
        files.write("images.csv", table.to_csv(index=False).encode())
        write_own_site(type(atlas)(files), Silent())
    server = make_server(atlas.folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield type(atlas)(files), f"http://127.0.0.1:{server.server_address[1]}/index.html"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.browser
def test_150_payloads_reach_the_page_as_text_and_nothing_runs(open_page, hostile):
    atlas, address = hostile
    assert len(PAYLOADS) >= 150
    page = open_page(address, "#layer=layer.0&grid=20&cell=10,10")
    page.get_by_test_id("inspector").wait_for()
    assert page.title() == atlas.title == page.locator("h1").first.text_content()
    page.keyboard.press("t")
    table = page.get_by_test_id("table")
    table.get_by_role("textbox").wait_for()
    shown = page.evaluate(FILTERED, PAYLOADS)
    seen = 0
    for number, (payload, cells) in enumerate(zip(PAYLOADS, shown, strict=True)):
        naming = [text for text in cells if re.search(rf"(^|, ){number} ", text)]  # of a row's first three classes
        assert all(payload in text for text in naming), payload
        seen += bool(naming)
    assert seen >= 140, "too few were shown to say so"
    page.keyboard.press("Escape")
    page.get_by_test_id("class-search").fill("script")
    page.wait_for_timeout(300)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="About", exact=True).click()
    assert atlas.origin in page.get_by_role("dialog").text_content()
    ran, sources = page.evaluate("[window.__x, [...document.querySelectorAll('script')].map(script => script.src)]")
    here = address.rpartition("/")[0] + "/"  # scripts that bring data come and go
    assert ran is None and sources and all(source.startswith(here) for source in sources), sources
    assert (
        page.locator(
            "img[src='x'], iframe, object, embed, form[action], base, svg[onload], [onerror], [onload]"
        ).count()
        == 0
    )


def test_the_page_has_no_way_to_parse_markup():
    found = [
        f"{file.name}: {word}"
        for file in sorted(WEB.rglob("*.ts"))
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextualFragment",
                     "DOMParser", "eval(", "new Function")
        if word in file.read_text(encoding="utf-8")
    ]  # fmt: skip
    assert found == []
