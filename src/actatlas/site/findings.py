"""What was found out on an atlas after it was built: misunderstandings, and what cells are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actatlas.atlas import Atlas
from actatlas.site.settings import SiteSettings
from actatlas.store import paths
from actatlas.values import Examples

# A story shows a photo with the patch on it.
_PICTURES: dict[Examples, tuple[str, ...]] = {
    "none": (), "patches": ("patch",), "thumbs": ("patch", "story"), "originals": ("patch", "story"),
}  # fmt: skip


def confusions_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]]:
    """The stories of all layers that are shown, by layer, the best proven first."""
    return [
        _story(atlas, layer, number, kept["grid"], entry) | _pictures(atlas, layer, entry, settings.examples)
        for layer, kept in _lists(atlas, settings)
        for number, entry in enumerate(kept["entries"])
    ]


def confusion_pictures(atlas: Atlas, settings: SiteSettings) -> Iterator[tuple[str, str]]:
    """(name in the site, path in the atlas folder) of the pictures that the stories name."""
    for layer, kept in _lists(atlas, settings):
        for entry in kept["entries"]:
            for kind in _PICTURES[settings.examples]:
                path = paths.confusion_picture(layer, kind, entry["proposal"]["rank"])
                if atlas.files.has(path):
                    yield _name(layer, kind, entry), path


def traces_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]]:
    """As `Trace.to_json` has them; those alone whose cells are all shown."""
    paths_of = (path for name in atlas.layer_names for path in atlas.files.committed(paths.traces(name)))
    found = [atlas.files.read_json(path) for path in paths_of]
    return [trace for trace in found if all(settings.shows(p["layer"], p["grid"]) for p in [trace, *trace["origins"]])]


def tour_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]] | None:
    """Its stops. None where there is no tour, or only a part of what it may lead to."""
    return atlas.files.read_json(paths.TOUR) if settings.is_whole and atlas.files.has(paths.TOUR) else None


def _lists(atlas: Atlas, settings: SiteSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in atlas.layer_names:
        path = paths.confusion_list(name)
        kept = atlas.files.read_json(path) if atlas.files.has(path) else None
        if kept is not None and settings.shows(name, kept["grid"]):
            yield name, kept


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
