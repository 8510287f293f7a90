"""The names of an atlas folder's files, for those who write them and those who read. docs/format.md describes them."""

from __future__ import annotations


def layer_slug(layer: str) -> str:
    """A layer's name as a file name: "features.0#2" → "features.0~2"."""
    return layer.replace("#", "~").replace("/", "_")


def shard(index: int) -> str:
    return f"shards/{index:05d}.json"


def places(index: int) -> str:
    return f"places/{index:05d}.safetensors"


def predictions(index: int) -> str:
    return f"predictions/{index:05d}.safetensors"


def activations(layer: str, index: int) -> str:
    return f"layers/{layer_slug(layer)}/activations/{index:05d}.safetensors"


def statistics(layer: str) -> str:
    return f"layers/{layer_slug(layer)}/statistics.safetensors"


def expectation(layer: str) -> str:
    """Without its ending: arrays are .safetensors, the names and counts .json."""
    return f"layers/{layer_slug(layer)}/expectation"


def layout(layer: str) -> str:
    return f"layers/{layer_slug(layer)}/layout.safetensors"


def grids(layer: str) -> str:
    """The folder that holds a folder for each side."""
    return f"layers/{layer_slug(layer)}/grids/"


def cells(layer: str, side: int) -> str:
    return f"{grids(layer)}{side}/cells.safetensors"


def icons(layer: str, side: int, chunk: int) -> str:
    """The icons of one round, in the order in which they are painted; which cells they are of stands inside."""
    return f"{icon_chunks(layer, side)}{chunk:05d}.safetensors"


def mended_icons(layer: str, side: int) -> str:
    """Icons that were painted on after the last round; with this file a grid's icons are complete."""
    return f"{icon_chunks(layer, side)}mended.safetensors"


def icon_chunks(layer: str, side: int) -> str:
    return f"{grids(layer)}{side}/icons/"
