"""The pictures in docs/images/ anew: `python tools/write_docs_images.py [ATLAS]`. Icons and dots alone, no photo.

All but four are of the atlas that ships. `seeds`, `grids`, `attributions` and `halves` need the activations of an ATLAS
that you built; the last three are of 800 photos, each of another class of ImageNet, and of
    actatlas build PHOTOS --out ATLAS --positions 12 --layer blocks.11.expanded --layer blocks.15.expanded
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright

import actatlas
from actatlas.demo import shipped_atlas
from actatlas.layout import LayoutSettings, lay_out
from actatlas.picture import draw
from actatlas.progress import StderrProgress
from actatlas.working import WorkingAtlas
from docs_figures import Ground, attributed_cells, two_grids, two_halves

OUT = Path(__file__).resolve().parent.parent / "docs" / "images"
MOST_BYTES, MOST_BYTES_OF_README = 120_000, 240_000
_ROWS = 4000

# name: (address of the page, width, height, what is pressed)
PAGES = {
    "page": ("layer=blocks.15.expanded&grid=20&at=0.42,0.6,1.7&cell=1,10", 1280, 800, ""),
    "class": ("layer=blocks.15.expanded&grid=20&class=French+loaf", 1280, 800, ""),
    "start": ("layer=blocks.15.expanded&grid=20", 1200, 760, ""),
    "cell": ("layer=blocks.11.expanded&grid=20&cell=2,2", 1200, 760, ""),
    "lens": ("layer=blocks.15.expanded&grid=20&class=goldfish", 1200, 760, ""),
    "beside": ("layer=blocks.6.expanded&beside=blocks.15.expanded&grid=20", 1200, 760, ""),
    "phone": ("layer=blocks.15.expanded&grid=20&cell=8,8", 390, 780, ""),
}


def main() -> None:
    OUT.mkdir(exist_ok=True)
    shipped = actatlas.open(shipped_atlas().folder)
    for name, layer, px in (
        ("atlas", "blocks.15.expanded", 56),
        ("early", "blocks.3.expanded", 36),
        ("late", "blocks.15.expanded", 36),
    ):
        keep(name, draw(shipped.layer(layer).grid(20), icon_px=px))
    keep("figure", of_figure(shipped.layer("blocks.11.expanded").figure(width_in=5), dpi=150))
    page = (shipped.folder / "site" / "index.html").as_uri()
    with sync_playwright() as playwright:
        installed = shutil.which("chromium") or shutil.which("google-chrome")  # None: Playwright's own
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        for name, (address, width, height, keys) in PAGES.items():
            tab = browser.new_page(viewport={"width": width, "height": height})
            tab.goto(f"{page}#{address}")
            tab.wait_for_selector("html[data-ready]")
            for key in keys:
                tab.keyboard.press(key)
            tab.wait_for_timeout(1500)
            keep(name, Image.open(io.BytesIO(tab.screenshot())))
            tab.close()
        browser.close()
    if len(sys.argv) > 1:
        of_activations(actatlas.open(sys.argv[1]))


def of_activations(atlas: WorkingAtlas) -> None:
    keep("seeds", two_seeds(atlas))
    ground = Ground.of(atlas, "blocks.15.expanded")
    for name, made in (("grids", two_grids), ("attributions", attributed_cells), ("halves", two_halves)):
        keep(name, of_figure(made(ground), dpi=120))


def two_seeds(atlas: WorkingAtlas) -> Image.Image:
    """The same activations laid out twice; a dot's colour is its place on the first map."""
    layer = atlas.layer("blocks.11.expanded")
    places = layer.places.image_ids
    rows = np.flatnonzero(np.isin(places, np.unique(places)[: _ROWS * len(np.unique(places)) // len(places)]))
    vectors = {layer.name: layer.activations.vectors[rows]}
    made = Figure(figsize=(8, 4.2))
    axes = made.subplots(1, 2)
    colours = None
    for seed, ax in enumerate(axes):
        points = lay_out(vectors, places[rows], LayoutSettings(seed=seed), StderrProgress())[layer.name].points
        if colours is None:
            x, y = np.nan_to_num(points, nan=0.5).T
            colours = np.clip(np.stack([x, 0.3 + 0.4 * (1 - x) * y, y], axis=1), 0, 1)
        ax.scatter(points[:, 0], points[:, 1], c=colours, s=4, linewidths=0)
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0), aspect="equal", title=f"seed {seed}")
    made.tight_layout()
    return of_figure(made, dpi=120)


def of_figure(figure: Figure, dpi: int) -> Image.Image:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=dpi)
    return Image.open(held)


def keep(name: str, picture: Image.Image) -> None:
    """As WebP, as good as fits."""
    most = MOST_BYTES_OF_README if name in ("atlas", "page") else MOST_BYTES
    for quality in (82, 75, 65, 55, 45, 35):
        held = io.BytesIO()
        picture.convert("RGB").save(held, "WEBP", quality=quality, method=6)
        if held.tell() <= most:
            break
    (OUT / f"{name}.webp").write_bytes(held.getvalue())
    print(f"{name}.webp: {picture.size[0]} × {picture.size[1]}, {held.tell() / 1000:.0f} kB, quality {quality}")


if __name__ == "__main__":
    main()
