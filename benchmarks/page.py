"""How fast and how small is the page? Headless chromium without WebGL, 1280 × 800, cold cache, loopback.

    python benchmarks/page.py [--travel 120] [--side 160]

An atlas of 160 × 160 cells and 1,000 classes, never computed, whose icons say which cell they are (`actatlas.testing`):

- JS and CSS, gzipped; the site's bytes
- *shape*: until the map's first tile is drawn; *sharp*: until all its tiles are; from navigation, median of 5
- frames while the map is dragged and zoomed for a minute: 50th and 95th percentile, and the longest task
- a class is switched to: from the change of the address to the dimmed map, median of 20 classes, whose numbers come
  from the server (cold) or have been fetched before (warm)
- *right*: of cells drawn at random zooms, how often the card says what the icon says
- memory of the renderer (PSS) after `--travel` seconds of travel: of a page that did nothing else, and of that one

And the size of a site of four layers with grids of 20, 40 and 80 whose icons are those of the shipped atlas, repeated.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import io
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from actatlas.demo import shipped_atlas
from actatlas.site import write_site
from actatlas.store import paths, pictures
from actatlas.testing import fake_atlas, place_in

VIEW = {"width": 1280, "height": 800}
LAYERS = 2
FRAMES = """() => {
    window.frames_ = []; window.tasks_ = [];
    let last = performance.now();
    const step = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(step); };
    requestAnimationFrame(step);
    const note = (list) => window.tasks_.push(...list.getEntries().map((entry) => entry.duration));
    new PerformanceObserver(note).observe({ entryTypes: ["longtask"] });
}"""
SWITCH = """(name) => new Promise((done) => {
    const start = performance.now();
    window.location.hash = window.location.hash.replace(/&class=[^&]*/, "") + "&class=" + name;
    const look = () => {
        const mark = performance.getEntriesByName("actatlas-dimmed").filter((entry) => entry.startTime >= start)[0];
        if (mark) requestAnimationFrame(() => done(performance.now() - start));
        else requestAnimationFrame(look);
    };
    look();
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--travel", type=int, default=120, help="seconds")
    parser.add_argument("--side", type=int, default=160)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        labels = [f"class {i:03d} of a thousand" for i in range(1000)]
        atlas = fake_atlas(
            Path(folder) / "atlas", layers=LAYERS, sides=(20, options.side), photos=0, icon_px=64, labels=labels
        )
        site = write_site(atlas, Path(folder) / "site", _write).parent
        seconds = time.monotonic() - started
        print(f"site of {LAYERS} layers, 20 and {options.side}: {_size(site):.1f} MB, written in {seconds:.0f} s")
        zipped = sum(len(gzip.compress((site / name).read_bytes(), 9)) for name in ("app.js", "app.css"))
        print(f"JS + CSS gzipped: {zipped / 1024:.0f} KB")
        with _served(site) as address:
            travel(address, options.side, options.travel)
        print(f"site of 4 layers, 20, 40, 80: {size_of_four(Path(folder)):.1f} MB without examples")


def travel(address: str, side: int, seconds: int) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--disable-gpu", "--disable-3d-apis"]
        )
        times = []
        for _ in range(5):
            context = browser.new_context(viewport=VIEW, device_scale_factor=1)
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector("html[data-ready]")
            times.append(
                [
                    page.evaluate(f"performance.getEntriesByName('{name}')[0].startTime")
                    for name in ("actatlas-shape", "actatlas-sharp")
                ]
            )
            context.close()
        shape, sharp = np.median(times, axis=0)
        print(f"shape {shape / 1000:.2f} s, sharp {sharp / 1000:.2f} s")
        page = browser.new_context(viewport=VIEW, device_scale_factor=1).new_page()
        page.goto(f"{address}#layer=layer.1&grid={side}")
        page.wait_for_selector("html[data-ready]")
        page.keyboard.press("n")  # names of regions would lie over what is to be read
        right, read = cells_told(page, side)
        page.keyboard.press("n")
        print(f"card and icon agree: {right} of {read}")
        cold, warm = switches(page)
        print(f"class switch: {cold:.0f} ms cold, {warm:.0f} ms warm")
        page.evaluate(FRAMES)
        journey(page, 60)
        frames, tasks = page.evaluate("[window.frames_.slice(5), window.tasks_]")
        half, most = np.percentile(frames, [50, 95])
        print(f"frames: median {half:.1f} ms, p95 {most:.1f} ms; longest task {max(tasks, default=0):.0f} ms")
        journey(page, max(seconds - 60, 0))
        after_all = renderer_mb()
        page.close()
        page = browser.new_context(viewport=VIEW, device_scale_factor=1).new_page()
        page.goto(f"{address}#layer=layer.1&grid={side}")
        page.wait_for_selector("html[data-ready]")
        journey(page, seconds)
        print(
            f"renderer's memory after {seconds} s of travel: {renderer_mb():.0f} MB; "
            f"{after_all:.0f} MB where cells were read and classes switched to before"
        )
        browser.close()


def cells_told(page: Page, side: int) -> tuple[int, int]:
    """Cells under the pointer whose card says what their icon says, of those whose icon can be read."""
    rng = np.random.default_rng(0)
    right = read = 0
    for _ in range(12):
        page.mouse.move(640, 420)
        page.keyboard.press("0")
        for _ in range(int(rng.integers(9, 16))):
            page.mouse.move(*rng.integers((420, 250), (860, 600)).tolist())
            page.mouse.wheel(0, -300)
            page.wait_for_timeout(60)
        page.wait_for_timeout(900)
        page.mouse.move(5, 5)
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        for _ in range(12):
            x, y = rng.integers((420, 90), (1240, 620)).tolist()
            page.mouse.move(x, y)
            card = page.get_by_test_id("card")
            if not card.is_visible():
                continue
            box = page.locator(".ring-hover").bounding_box()
            left, top, size = round(box["x"]), round(box["y"]), round(box["width"])
            if size < 15 or left < 130 or top < 60 or left + size > 1280 or top + size > 800:
                continue
            told = place_in(shot[top : top + size, left : left + size])
            read += 1
            right += told == (1, int(card.get_attribute("data-column")), int(card.get_attribute("data-row")))
    return right, read


def switches(page: Page) -> tuple[float, float]:
    """Median milliseconds, of classes whose numbers come from the server, and of the same once more."""
    page.keyboard.press("0")
    names = [f"{i}" for i in np.random.default_rng(1).permutation(1000)[:20]]
    cold, warm = ([page.evaluate(SWITCH, name) for name in names] for _ in range(2))
    page.keyboard.press("Escape")
    return float(np.median(cold)), float(np.median(warm))


def journey(page: Page, seconds: float) -> None:
    """Drags and zooms over the map, in and out."""
    rng = np.random.default_rng(2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        x, y = rng.integers((420, 250), (860, 600)).tolist()
        page.mouse.move(x, y)
        for _ in range(4):
            page.mouse.wheel(0, int(rng.choice([-240, -240, 240])))
            page.wait_for_timeout(120)
        page.mouse.down()
        page.mouse.move(*rng.integers((420, 150), (1100, 700)).tolist(), steps=25)
        page.mouse.up()
        if rng.random() < 0.15:
            page.keyboard.press("0")


def renderer_mb() -> float:
    """PSS of the largest renderer among this process's descendants."""
    sizes = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"--type=renderer" in status.read_bytes():
                rollup = (status.parent / "smaps_rollup").read_text()
                sizes.append(
                    next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
                )
        except OSError:  # it has ended meanwhile
            continue
    return max(sizes)


def size_of_four(folder: Path) -> float:
    """MB of a site whose icons compress as real ones do."""
    from actatlas import atlas as reader

    labels = [f"class {i}" for i in range(1000)]
    atlas = fake_atlas(folder / "four", layers=4, sides=(20, 40, 80), photos=0, icon_px=80, labels=labels)
    real = shipped_atlas()
    for name, theirs in zip(atlas.layer_names, real.layer_names, strict=True):
        grid = real.layer(theirs).grid(real.layer(theirs).grid_sides[0])
        size = atlas.layer(name).icon_px
        icons = np.stack([np.asarray(Image.fromarray(icon).resize((size, size))) for icon in grid.icons])
        for path in [p for p in atlas.files.committed(paths.home(name)) if "/icons/" in p]:
            arrays = atlas.files.read_arrays(path)
            rows = arrays["rows"]
            atlas.files.write_arrays(path, arrays | pictures.encode(icons[rows % len(icons)]))
    return _size(write_site(reader.Atlas(atlas.files), folder / "four-site", _write).parent)


class _served:
    def __init__(self, folder: Path):
        handler = functools.partial(_Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/index.html"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
