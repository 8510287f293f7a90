"""The atlas's card: what was done, with what, and how far it can be trusted; for people and for programs."""

from __future__ import annotations

from typing import Any

from actatlas import __version__
from actatlas.atlas import Atlas
from actatlas.site import about_value, flat_settings, public_text, public_title
from actatlas.values import Examples

NO_LICENCE = "No licence was given for this atlas: ask whoever published it before you use its pictures or numbers."
SHOWN: dict[Examples, str] = {
    "none": "No photo, and no part of one, is in this folder.",
    "patches": "Small patches of photos are in this folder, at most 64 px a side; no whole photo is.",
    "thumbs": "Patches of photos, and the photos that they are of with at most 256 px a side, are in this folder.",
    "originals": "Patches of photos, and the photos that they are of with at most 1,024 px a side, are in this folder.",
}
READING = (
    "Each square is a cell: the average of all activations that fell there. An icon is not a photo. It is one picture, "
    "painted so that the layer answers to it as the cell does on average; many others would do.",
    "*Identified* means that of all cells of the grid the layer's answer to the icon is nearest to its own. "
    "*Cosine* says how near: 1 is the same direction. An icon with a low one is to be taken with care.",
    "What lies near one another is alike to the network, not to people; distances across the map mean little, and "
    "another seed gives another map.",
    "What a cell speaks for is an estimate over its activations, no proof of what the network decides on one photo.",
)


def card(atlas: Atlas, examples: Examples, licence: str) -> dict[str, Any]:
    """As card.json has it."""
    told = about_value(atlas)
    return {
        "title": public_title(atlas),
        "origin": public_text(atlas, atlas.origin),
        **told,
        "photos": told["photos"] | {"shown": examples},
        "class_atlases": [layer.title for layer in atlas.class_atlases],
        "published_by": f"actatlas {__version__}",
        "licence": licence or None,
    }


def as_markdown(value: dict[str, Any]) -> str:
    """The same for people: the body of README.md."""
    network, photos = value["network"], value["photos"]
    classes = f", {network['class_count']:,} classes" if network["class_count"] else ""
    rows = [
        f"| {layer['name']} | {' × '.join(map(str, layer['shape']))} | {layer['activations']:,} | {grid['side']} × "
        f"{grid['side']} | {grid['cells']:,} | {_figure(grid['cosine'])} | {_figure(grid['identified'])} |"
        for layer in value["layers"]
        for grid in layer["grids"]
    ]
    skipped = f" ({photos['listed']:,} listed, {photos['skipped']:,} could not be used)" if photos["skipped"] else ""
    settings = [f"| {name} | {setting} |" for name, setting in flat_settings(value["settings"])]
    parts = [
        f"# {value['title']}",
        "An activation atlas: a map of what the layers of a vision network have learned to see. Open `index.html`.",
        value["origin"],
        f"- **Network**: `{network['spec']}`, weights sha256 `{network['weights_sha256']}`{classes}, input "
        f"{' × '.join(map(str, network['input_px']))} px\n"
        f"- **Photos**: {photos['used']:,}{skipped}. {SHOWN[photos['shown']]}\n"
        f"- **Licence**: {value['licence'] or NO_LICENCE}",
        "## Layers and grids\n\n| layer | C × H × W | activations | grid | cells | mean cosine | identified |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows),
        "## How to read it\n\n" + "\n".join(f"- {text}" for text in READING),
        "## Settings\n\n| setting | value |\n|---|---|\n" + "\n".join(settings),
        "Made with " + ", ".join(f"{name} {version}" for name, version in value["versions"].items())
        + ". After *Activation Atlas*, Carter, Armstrong, Schubert, Johnson and Olah, Distill 2019. The same as data: "
        "`card.json`.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
