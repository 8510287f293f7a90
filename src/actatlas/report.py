"""How far an atlas can be trusted: its icons, its cells, its photos, and its layout under another seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.errors import UnfinishedAtlas
from actatlas.layout import LayoutSettings, lay_out
from actatlas.progress import Progress

WORST = 10
_SHARES = 0.125, 0.25, 0.5
_NEIGHBOURS = 15
_ASKED = 4_000  # activations whose neighbours on the map are compared
_MOST_LAID_OUT = 20_000  # activations a layer: beyond, a sample of the photos stands for all


def report(atlas: Atlas, seeds: int, progress: Progress) -> dict[str, Any]:
    """Figures of a finished atlas, as `actatlas report --json` prints them.

    seeds: further layouts that the map is compared with; each costs what the layout stage did, 0 leaves it out
    Raises UnfinishedAtlas.
    """
    if not atlas.is_finished:
        raise UnfinishedAtlas(f"{atlas.folder} is not finished; run its build command again, which continues")
    has_members = bool(atlas.shards)  # the shipped atlas carries none
    stability = _stability(atlas, seeds, progress) if has_members and seeds > 0 else {}
    layers = {}
    for name in atlas.layer_names:
        layer = atlas.layer(name)
        layers[name] = {
            "activations": layer.activation_count,
            "photos": atlas.image_counts["used"],
            "stability": stability.get(name),
            "grids": {str(side): _grid_report(layer.grid(side), has_members) for side in layer.grid_sides},
        }
    return {"atlas": str(atlas.folder), "layers": layers}


def as_text(figures: dict[str, Any]) -> Iterator[str]:
    """The same for people, a line at a time."""
    for name, layer in figures["layers"].items():
        yield f"{name}: {layer['activations']:,} activations of {layer['photos']:,} photos"
        for side, grid in layer["grids"].items():
            yield f"  {side} × {side}: {grid['cells']} cells"
            if not grid["cells"]:
                continue
            # Of a photo in an icon's place no shifted answer is known.
            pictures = "icons " if grid["shifted_cosine"] is not None else "photos"
            yield (
                f"    {pictures}   cosine {grid['cosine']:.2f}, identified {grid['identified']:.0%}; "
                f"{grid['failing']} answer less like their cell than its own photos do"
            )
            members = f"    members  cohesion {grid['cohesion']:.2f}; in {grid['disagreeing']} cells they disagree"
            if grid["same_photo_pairs"] is not None:
                members += f"; {grid['same_photo_pairs']:.1%} of the pairs in a cell are of one photo"
            yield members
            if grid["coverage"]:
                steps = ", ".join(f"{c['cells']:.0%} with {c['photos']:,}" for c in grid["coverage"])
                yield f"    photos   of these cells, so many would be there with fewer photos: {steps}"
            worst = "; ".join(f"{w['cell']} ({w['cosine']:.2f}{_named(w)})" for w in grid["worst"])
            if grid["labels"]:
                held, chance = grid["labels"]["held"], grid["labels"]["by_chance"]
                named = "name what the network sees in a photo of the cell"
                yield f"    labels   {held:.0%} {named} ({chance:.0%} by chance)"
            if grid["attributions"]:
                of = grid["attributions"]
                yield (
                    f"    classes  estimated from up to {of['photos']} photos a cell; the label's value is "
                    f"{of['value']:.2g} ± {of['error']:.2g} over the average (medians)"
                )
            yield f"    worst    {worst}"
        if layer["stability"]:
            kept, chance = layer["stability"]["kept"], layer["stability"]["by_chance"]
            yield (
                f"  layout: {kept:.0%} of an activation's {_NEIGHBOURS} nearest on the map stay so under another seed "
                f"({chance:.1%} by chance)"
            )


def _named(worst: dict[str, Any]) -> str:
    return f", {worst['label']}" if worst["label"] else ""


def _grid_report(grid: Grid, has_members: bool) -> dict[str, Any]:
    remarks = grid.remarks
    order = np.argsort(grid.cosine, kind="stable")[:WORST]
    top = grid.top_classes(1)
    photos = _photos(grid) if has_members and len(grid) else None
    return {
        "cells": len(grid),
        "cosine": _mean(grid.cosine),
        "shifted_cosine": _mean(grid.shifted_cosine),
        "identified": _mean(grid.rank == 0),
        "failing": sum("icon" in cell for cell in remarks),
        "cohesion": _mean(grid.cohesion),
        "disagreeing": sum("members" in cell for cell in remarks),
        "same_photo_pairs": _same_photo_pairs(grid) if has_members else None,
        "coverage": _coverage(photos, grid) if photos is not None else None,
        "labels": _labels(photos, grid) if photos is not None else None,
        "attributions": _attributions(grid),
        "worst": [
            {
                "cell": f"{grid.coordinates[k, 0]},{grid.coordinates[k, 1]}",
                "cosine": round(float(grid.cosine[k]), 4),
                "rank": int(grid.rank[k]),
                "label": grid.class_name(int(top[0][k, 0])) if top else None,
            }
            for k in order
        ],
    }


def _mean(values: np.ndarray) -> float | None:
    """None where there are none, or some that nobody measured: of a photo in an icon's place, its answer shifted."""
    return round(float(np.mean(values)), 4) if len(values) and not np.isnan(values).any() else None


def _photos(grid: Grid) -> list[np.ndarray]:
    """The distinct photos of each cell."""
    ids = grid.layer.places.image_ids
    return [np.unique(ids[grid.members(k)]) for k in range(len(grid))]


def _same_photo_pairs(grid: Grid) -> float:
    """Of all pairs of activations that share a cell, the share that come from one photo."""
    ids = grid.layer.places.image_ids
    same = every = 0
    for k in range(len(grid)):
        _, counts = np.unique(ids[grid.members(k)], return_counts=True)
        same += int((counts * (counts - 1)).sum())
        every += int(counts.sum() * (counts.sum() - 1))
    return round(same / max(every, 1), 5)


def _coverage(photos: list[np.ndarray], grid: Grid) -> list[dict[str, Any]]:
    """Share of the cells that would have enough photos with some of the photos alone, drawn at random once."""
    atlas = grid.layer.atlas
    ids = np.unique(grid.layer.places.image_ids)
    turn = np.zeros(int(ids.max()) + 1, np.int64)
    turn[ids] = np.random.default_rng(0).permutation(len(ids))
    least = atlas.plan["settings"]["min_images"]
    needed = np.array([np.sort(turn[cell])[least - 1] for cell in photos])  # photos until the cell has enough
    counts = [round(share * len(ids)) for share in _SHARES]
    return [{"photos": n, "cells": round(float((needed < n).mean()), 4)} for n in counts]


def _labels(photos: list[np.ndarray], grid: Grid) -> dict[str, float] | None:
    """How many cells are labelled by a class that the network predicts for one of their photos, whole.

    by_chance: the same for labels dealt out anew among the cells
    """
    top, predicted = grid.top_classes(1), grid.layer.atlas.predicted_classes
    if top is None or predicted is None:
        return None
    labels = top[0][:, 0]
    of_photo = predicted.groupby("image_id")["class"].unique()
    seen = [np.unique(np.concatenate(of_photo.loc[cell].to_list())) for cell in photos]
    how_often = np.bincount(labels, minlength=int(predicted["class"].max()) + 1)
    held = np.mean([label in classes for label, classes in zip(labels, seen, strict=True)])
    chance = np.mean([how_often[classes].sum() / len(labels) for classes in seen])
    return {"held": round(float(held), 4), "by_chance": round(float(chance), 4)}


def _attributions(grid: Grid) -> dict[str, float] | None:
    """Medians over cells of the label's value and its standard error; None where every activation carries its own."""
    errors, top = grid.attribution_errors, grid.top_classes(1)
    if errors is None or top is None or not len(grid):
        return None
    error = np.nanmedian(np.take_along_axis(errors, top[0], axis=1))
    return {
        "photos": int(grid.attribution_photos.max()),
        "value": round(float(np.median(top[1])), 5),
        "error": round(float(error), 5),
    }


def _stability(atlas: Atlas, seeds: int, progress: Progress) -> dict[str, dict[str, float]]:
    """By layer: how many of an activation's nearest on the map stay so when the layout has another seed.

    Neighbours of the same photo do not count, nor do activations that either map cuts off.
    """
    layers = [atlas.layer(name) for name in atlas.layer_names]
    settings = LayoutSettings(**atlas.plan["settings"]["layout"])
    rows, image_ids = _sample(layers[0])
    vectors = {layer.name: layer.activations.vectors[rows] for layer in layers}
    maps = []
    if len(rows) == layers[0].activation_count:
        maps.append({layer.name: layer.layout for layer in layers})
    while len(maps) < seeds + 1:
        other = replace(settings, seed=settings.seed + len(maps))
        maps.append({name: layout.points for name, layout in lay_out(vectors, image_ids, other, progress).items()})
    result = {}
    for layer in layers:
        kept = [_kept(maps[0][layer.name], other[layer.name], image_ids) for other in maps[1:]]
        by_chance = _NEIGHBOURS / max(len(rows) - 1, 1)
        result[layer.name] = {"seeds": seeds, "kept": round(float(np.mean(kept)), 4), "by_chance": round(by_chance, 5)}
    return result


def _sample(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Rows of whole photos, and their photos."""
    ids = layer.places.image_ids
    photos = np.random.default_rng(0).permutation(np.unique(ids))
    kept = photos[: max(int(len(photos) * min(1.0, _MOST_LAID_OUT / len(ids))), 1)]
    rows = np.flatnonzero(np.isin(ids, kept))
    return rows, ids[rows]


def _kept(one: np.ndarray, other: np.ndarray, image_ids: np.ndarray) -> float:
    """Share of the nearest on map `one` (N, 2) that are among the nearest on `other` (N, 2)."""
    placed = np.flatnonzero(~np.isnan(one).any(axis=1) & ~np.isnan(other).any(axis=1))
    asked = np.random.default_rng(0).permutation(placed)[:_ASKED]
    near_one, near_other = (_nearest(points, placed, asked, image_ids) for points in (one, other))
    shares = [len(a & b) / len(a) for a, b in zip(near_one, near_other, strict=True) if a]
    return float(np.mean(shares)) if shares else 0.0


def _nearest(points: np.ndarray, placed: np.ndarray, asked: np.ndarray, image_ids: np.ndarray) -> list[set[int]]:
    # A photo rarely has more neighbours on the map than this; where it has, fewer are compared.
    count = min(4 * _NEIGHBOURS, len(placed))
    _, found = cKDTree(points[placed]).query(points[asked], k=count)
    found = placed[found.reshape(len(asked), -1)]
    is_other = image_ids[found] != image_ids[asked][:, None]
    return [set(row[other][:_NEIGHBOURS].tolist()) for row, other in zip(found, is_other, strict=True)]
