"""What was found out on an atlas after it was built: misunderstandings, and what cells are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actatlas.atlas import Atlas
from actatlas.store import paths
from actatlas.values import Examples

# A story shows a photo with the patch on it.
_PICTURES: dict[Examples, tuple[str, ...]] = {
    "none": (), "patches": ("patch",), "thumbs": ("patch", "story"), "originals": ("patch", "story"),
}  # fmt: skip


def confusions_value(atlas: Atlas, examples: Examples) -> list[dict[str, Any]]:
    """The stories of all layers, by layer, the best proven first."""
    return [
        _story(atlas, layer, number, kept["grid"], entry) | _pictures(atlas, layer, entry, examples)
        for layer, kept in _lists(atlas)
        for number, entry in enumerate(kept["entries"])
    ]


def confusion_pictures(atlas: Atlas, examples: Examples) -> Iterator[tuple[str, str]]:
    """(name in the site, path in the atlas folder) of the pictures that the stories name."""
    for layer, kept in _lists(atlas):
        for entry in kept["entries"]:
            for kind in _PICTURES[examples]:
                path = paths.confusion_picture(layer, kind, entry["proposal"]["rank"])
                if atlas.files.has(path):
                    yield _name(layer, kind, entry), path


def traces_value(atlas: Atlas) -> list[dict[str, Any]]:
    """As `Trace.to_json` has them."""
    found = (path for name in atlas.layer_names for path in atlas.files.committed(paths.traces(name)))
    return [atlas.files.read_json(path) for path in found]


def _lists(atlas: Atlas) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in atlas.layer_names:
        path = paths.confusion_list(name)
        if atlas.files.has(path):
            yield name, atlas.files.read_json(path)


def _story(atlas: Atlas, layer: str, number: int, side: int, entry: dict[str, Any]) -> dict[str, Any]:
    proposal, proof = entry["proposal"], entry["proof"]
    column, row = atlas.layer(layer).grid(side).coordinates[proposal["k"]].tolist()

    return {
        "layer": layer, "grid": side, "column": column, "row": row, "rank": number + 1,
        "target": proposal["target"], "concept": proposal["concept"], "told": entry["told"],
        "rates": _rates(proof) if proof else None, "interval": proof and proof["patch"]["interval"],
        "scored": proof and proof["scored"], "transfer": proof and proof["transfer"],
    }  # fmt: skip


def _pictures(atlas: Atlas, layer: str, entry: dict[str, Any], examples: Examples) -> dict[str, str | None]:
    """Names in the site, where they may be shown and are there."""

    def name(kind: str) -> str | None:
        path = paths.confusion_picture(layer, kind, entry["proposal"]["rank"])
        return _name(layer, kind, entry) if kind in _PICTURES[examples] and atlas.files.has(path) else None

    return {kind: name(kind) for kind in ("patch", "story")}


def _rates(proof: dict[str, Any]) -> list[list[Any]]:
    """[what was pasted, share of the photos that it turned], the patch first."""
    arms = {"patch": proof["patch"], "its icon": proof["icon"]} | proof["controls"]
    return [[name.replace("_", " "), arm["rate"]] for name, arm in arms.items()]


def _name(layer: str, kind: str, entry: dict[str, Any]) -> str:
    return f"confusions/{paths.layer_slug(layer)}/{entry['proposal']['rank']:02d}-{kind}.jpg"
