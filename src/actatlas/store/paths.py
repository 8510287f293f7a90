"""The names of an atlas folder's files, for those who write them and those who read. docs/format.md describes them."""

from __future__ import annotations


def layer_slug(layer: str) -> str:
    """A layer's name as a file name: "features.0#2" → "features.0~2"; a comparison's "A: blocks" → "A~blocks"."""
    return layer.replace(": ", "~").replace("#", "~").replace("/", "_")


def shard(index: int) -> str:
    return f"shards/{index:05d}.json"


def places(index: int) -> str:
    return f"places/{index:05d}.safetensors"


def predictions(index: int) -> str:
    return f"predictions/{index:05d}.safetensors"


def home(layer: str) -> str:
    """The folder of a layer, with its slash: layout, grids and icons lie in it."""
    return f"layers/{layer_slug(layer)}/"


def class_home(layer: str, key: str) -> str:
    """The same for an atlas of some of the layer's activations."""
    return f"{home(layer)}classes/{key}/"


def class_homes(layer: str) -> str:
    return f"{home(layer)}classes/"


def activations(layer: str, index: int) -> str:
    return f"{home(layer)}activations/{index:05d}.safetensors"


def attribution_units(layer: str) -> str:
    """The folder of what carries attributions where not all activations do."""
    return f"{home(layer)}attributions/"


def attributions(layer: str, unit: int) -> str:
    return f"{attribution_units(layer)}{unit:05d}.safetensors"


def average_attribution(layer: str) -> str:
    """What an average activation speaks for, in that case; written after all units."""
    return f"{attribution_units(layer)}average.safetensors"


def statistics(layer: str) -> str:
    return f"{home(layer)}statistics.safetensors"


def regions(layer: str) -> str:
    """Which part of the map each activation belongs to, where a user's own vectors came with that."""
    return f"{home(layer)}regions.safetensors"


def region_names(layer: str) -> str:
    return f"{home(layer)}regions.json"


def expectation(layer: str) -> str:
    """Without its ending: arrays are .safetensors, the names and counts .json."""
    return f"{home(layer)}expectation"


def chosen(home: str) -> str:
    """Without its ending, likewise: which activations a class atlas is of."""
    return f"{home}chosen"


def layout(home: str) -> str:
    return f"{home}layout.safetensors"


def grids(home: str) -> str:
    """The folder that holds a folder for each side."""
    return f"{home}grids/"


def cells(home: str, side: int) -> str:
    return f"{grids(home)}{side}/cells.safetensors"


def cell_attributions(home: str, side: int) -> str:
    """What the cells speak for, by some members of each; otherwise that stands with the cells."""
    return f"{grids(home)}{side}/attributions.safetensors"


def icons(home: str, side: int, chunk: int) -> str:
    """The icons of one round, in the order in which they are painted; which cells they are of stands inside."""
    return f"{icon_chunks(home, side)}{chunk:05d}.safetensors"


def mended_icons(home: str, side: int) -> str:
    """Icons that were painted on after the last round; with this file a grid's icons are complete."""
    return f"{icon_chunks(home, side)}mended.safetensors"


def icon_chunks(home: str, side: int) -> str:
    return f"{grids(home)}{side}/icons/"


def confusions(layer: str) -> str:
    """The folder of what the network takes for something else, by one layer."""
    return f"{home(layer)}confusions/"


def confusion_list(layer: str) -> str:
    return f"{confusions(layer)}list.json"


def confusion_picture(layer: str, kind: str, rank: int) -> str:
    """kind: "patch", as it is in the photo; "pasted", as large as it was pasted; "story"."""
    return f"{confusions(layer)}{rank:02d}-{kind}.png"


def traces(layer: str) -> str:
    """The folder of which earlier cells the layer's cells are made of."""
    return f"{home(layer)}traces/"


def trace(layer: str, side: int, column: int, row: int) -> str:
    return f"{traces(layer)}{side}/{column},{row}.json"


def directions(layer: str) -> str:
    """Directions of the layer that somebody named; they outlast its maps."""
    return f"directions/{layer_slug(layer)}.safetensors"


def projections() -> str:
    """The folder of second sets of photos that were placed on the atlas, a folder each."""
    return "projections/"


def projection(key: str) -> str:
    return f"{projections()}{key}/"


def projection_facts(key: str) -> str:
    return f"{projection(key)}projection.json"


def projection_images(key: str) -> str:
    return f"{projection(key)}images.csv"


def projected(key: str, layer: str) -> str:
    """Where the new photos' activations fall on a layer's map."""
    return f"{projection(key)}{layer_slug(layer)}/points.safetensors"


def projected_cells(key: str, layer: str, side: int) -> str:
    """What a grid's cells have of them."""
    return f"{projection(key)}{layer_slug(layer)}/cells-{side}.safetensors"


def projection_patch(key: str, layer: str, kind: str, number: int) -> str:
    """kind: "far", of what the atlas has nothing like; "more", of what the new photos have more of."""
    return f"{projection(key)}{layer_slug(layer)}/{kind}-{number:02d}.png"


TOUR = "tour.json"
COMPARISON = "comparison.json"
