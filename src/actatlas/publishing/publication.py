"""Writes the folder: the site, README.md with what hosts read of it, card, licence, and the picture of its links."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from actatlas.atlas import Atlas, Grid
from actatlas.errors import UnfinishedAtlas, UsageError
from actatlas.picture import draw
from actatlas.progress import Progress
from actatlas.publishing.card import NO_LICENCE, as_markdown, card
from actatlas.publishing.hosts import HOSTS, Totals
from actatlas.site import SITE_NAMES, SiteSettings, data_of, index_page, public_title, write_site
from actatlas.store import to_json
from actatlas.store.durable import write_file
from actatlas.store.pictures import png
from actatlas.store.staging import staged
from actatlas.values import Examples

# Beside the site's own.
NAMES = ("README.md", "LICENCE.txt", "card.json", "thumbnail.png")
BACKGROUND = (236, 234, 229)
THUMBNAIL_PX = (800, 420)  # nearly 1.91 : 1, as link previews have it
# Identifiers that Hugging Face knows; any other licence is "other" to it.
_KNOWN_LICENCES = (
    "apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "unlicense",
)  # fmt: skip


@dataclass(frozen=True)
class PublishSettings:
    """examples: as SiteSettings has them; licence: a name or a sentence; url: where the folder will be, or empty"""

    examples: Examples
    licence: str = ""
    url: str = ""


@dataclass(frozen=True)
class Publication:
    """folder: where it lies; problems: by host, why it would not take the folder, empty if it would"""

    folder: Path
    totals: Totals
    problems: dict[str, list[str]]


def publish(atlas: Atlas, out: Path, settings: PublishSettings, progress: Progress) -> Publication:
    """Write `out` whole, or leave it as it was.

    Raises UnfinishedAtlas; FolderTaken where `out` holds something that no site or publication has left.
    """
    if not atlas.is_finished:
        raise UnfinishedAtlas(f"{atlas.folder} is not finished; run its build command again, and then publish it")
    if settings.url and not re.match(r"https?://[^/\s]+", settings.url):
        raise UsageError(f"{settings.url} is no address that begins with https://")
    with staged(out, lambda name: name in (*SITE_NAMES, *NAMES)) as folder:
        write_site(atlas, folder, write_file, progress, SiteSettings(settings.examples))
        write_file(folder / "index.html", index_page(public_title(atlas), _preview(atlas, settings)))
        shown = json.loads(data_of((folder / "atlas.js").read_bytes()))["examples"]  # photos may be gone
        value = card(atlas, shown, settings.licence)
        write_file(folder / "card.json", to_json(value))
        write_file(folder / "README.md", (_front_matter(atlas, settings) + as_markdown(value)).encode())
        write_file(folder / "LICENCE.txt", _licence(settings.licence).encode())
        write_file(folder / "thumbnail.png", png(thumbnail(_latest_grid(atlas))))
        totals = Totals.of(folder)
    return Publication(out, totals, {host.name: host.problems(totals) for host in HOSTS})


def thumbnail(grid: Grid) -> Image.Image:
    """The middle of a grid's map, as wide as the picture."""
    width, height = THUMBNAIL_PX
    first, last = grid.coordinates.min(axis=0), grid.coordinates.max(axis=0) + 1
    icon_px = -(-width // int(last[0] - first[0]))
    middle = (first + last) / 2 * icon_px
    picture = Image.new("RGB", THUMBNAIL_PX, BACKGROUND)
    drawn = draw(grid, icon_px=icon_px, background=BACKGROUND)
    picture.paste(drawn, (round(width / 2 - middle[0]), round(height / 2 - middle[1])))
    return picture


def _latest_grid(atlas: Atlas) -> Grid:
    layer = atlas.layer(atlas.layer_names[-1])
    return layer.grid(layer.grid_sides[0])


def _front_matter(atlas: Atlas, settings: PublishSettings) -> str:
    """What Hugging Face reads of a static Space; JSON's strings are YAML's."""
    licence = settings.licence.lower()
    lines = {
        "title": json.dumps(public_title(atlas), ensure_ascii=False), "emoji": "🗺️", "colorFrom": "indigo",
        "colorTo": "yellow", "sdk": "static", "app_file": "index.html", "pinned": "false",
        "short_description": json.dumps("What a vision network has learned to see, as a map"),
    }  # fmt: skip
    if licence:
        lines["license"] = licence if licence in _KNOWN_LICENCES else "other"
    if settings.url:
        lines["thumbnail"] = json.dumps(_at(settings.url, "thumbnail.png"))
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in lines.items()) + "---\n\n"


def _preview(atlas: Atlas, settings: PublishSettings) -> str:
    """What other pages show of a link to this one."""
    image = _at(settings.url, "thumbnail.png") if settings.url else "thumbnail.png"
    told = {
        "og:type": "website", "og:title": public_title(atlas),
        "og:description": "An activation atlas: what a vision network has learned to see, as a map.", "og:image": image,
        "og:image:width": str(THUMBNAIL_PX[0]), "og:image:height": str(THUMBNAIL_PX[1]),
    }  # fmt: skip
    metas = [f'<meta property="{name}" content="{html.escape(value)}">' for name, value in told.items()]
    return "\n" + "\n".join([*metas, '<meta name="twitter:card" content="summary_large_image">'])


def _at(url: str, name: str) -> str:
    return f"{url.partition('#')[0].removesuffix('index.html').rstrip('/')}/{name}"


def _licence(licence: str) -> str:
    atlas = f"The atlas (pictures, numbers and texts of this folder): {licence}" if licence else NO_LICENCE
    app = "The app (app.js, app.css, icon.svg) is actatlas, Apache-2.0; THIRD-PARTY.txt says what it contains."
    return f"{atlas}\n\n{app}\n"
