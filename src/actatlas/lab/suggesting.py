"""Patches that may turn a photo: known misunderstandings first, else what the cells hold that speak for a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actatlas.classes.following import grid_of
from actatlas.confusions.pasting import CORNERS
from actatlas.errors import ImageError, NoAttributions, UsageError
from actatlas.lab.asking import AtlasPhoto, CellIcon, CellName, Example, Patch, Photo, Place, Proposed
from actatlas.lab.bench import Bench, Look
from actatlas.lab.pictures import thumbnail

_SHOWN = 8
_TRIED = 10  # patches, each in every corner
_SIDE = 0.4  # of what is cut from a cell's photos: as in a search for misunderstandings
_CLASSES, _CELLS_EACH = 4, 3  # the likeliest classes but the first, and the cells that speak most for each


@dataclass(frozen=True)
class _Candidate:
    """flip_rate: of its proof, on how many photos; None without one"""

    patch: Patch
    target: int
    shows: str
    side: float
    corner: str
    flip_rate: float | None = None
    tested: int | None = None


def suggest(bench: Bench, photo: Photo | None, target: int | None) -> dict[str, Any]:
    """Patches that speak for a class (target), or for any that this photo is not taken for.

    With a photo each is tried on it, in every corner: those first that raise their class most. Raises UsageError,
    NoAttributions where no cell says what it speaks for, NetworkError without classes.
    """
    if photo is None and target is None:
        raise UsageError("suggest: name a photo, or a class")
    bench.atlas.class_names  # noqa: B018  raises where there are none
    look = None if photo is None else bench.look(photo)
    own = None if look is None else int(look.logits[0].argmax())
    found = [c for c in _known(bench) if target in (None, c.target) and c.target != own]
    source = "misunderstandings" if found else "cells"
    if not found:
        found = list(_spoken_for(bench, [target] if target is not None else _next_classes(look), photo))
    if look is None:
        return {"from": source, "patches": [_value(bench, c, c.corner, None) for c in found[:_SHOWN]]}
    found.sort(key=lambda c: -float(look.logits[0, c.target]))  # stable: the best proven stay first
    return {"from": source, "patches": _tried(bench, look, found[:_TRIED])[:_SHOWN]}


def _known(bench: Bench) -> Iterator[_Candidate]:
    for patch, entry in bench.confusions.items():
        proof, proposal = entry.proof, entry.proposal
        spot = proof.patch.spot if proof else proposal.spot
        rate, tested = (proof.patch.rate, proof.scored) if proof else (None, None)
        yield _Candidate(patch, proposal.target, proposal.concept, spot.share, spot.corner, rate, tested)


def _spoken_for(bench: Bench, targets: list[int], photo: Photo | None) -> Iterator[_Candidate]:
    """Of the latest layer: the patch nearest each cell's mean that is of another photo, or the icon without photos."""
    atlas = bench.atlas
    grid = grid_of(atlas, atlas.layer_names[-1], None)
    over = grid.attributions_over_mean
    if over is None:
        raise NoAttributions(atlas.folder)
    for target in targets:
        for k in np.argsort(-over[:, target], kind="stable")[: _CELLS_EACH if len(targets) > 1 else _SHOWN].tolist():
            column, row = grid.coordinates[k].tolist()
            patch, shows = _patch_of(bench, CellName(grid.layer.title, grid.side, column, row), k, photo)
            yield _Candidate(patch, target, shows, _SIDE, CORNERS[3])


def _patch_of(bench: Bench, name: CellName, k: int, photo: Photo | None) -> tuple[Patch, str]:
    """And what it is of."""
    grid = bench.pictures.layer(name.layer).grid(name.side)
    near = grid.layer.places.image_ids[grid.nearest_rows(k, 2)].tolist() if bench.atlas.has_photos else []
    for number, image_id in enumerate(near):
        if photo != AtlasPhoto(image_id):
            with suppress(ImageError):  # the photos are gone
                bench.patch(Example(name, number))
                return Example(name, number), bench.pictures.said_of(image_id)
    return CellIcon(name), f"icon of cell {name.column},{name.row}"


def _next_classes(look: Look | None) -> list[int]:
    assert look is not None  # there is a photo where there is no target
    logits = look.logits[0]
    return logits.topk(min(_CLASSES + 1, len(logits))).indices.tolist()[1:]


def _tried(bench: Bench, look: Look, candidates: list[_Candidate]) -> list[dict[str, Any]]:
    before = look.logits[0].softmax(dim=0)
    inputs = [bench.laid(look.pixels, c.patch, _place(bench, c, corner))[0] for c in candidates for corner in CORNERS]
    if not inputs:
        return []
    after = bench.logits(torch.stack(inputs)).softmax(dim=1).view(len(candidates), len(CORNERS), -1)
    gains = []
    for i, candidate in enumerate(candidates):
        column: Tensor = after[i, :, candidate.target]
        best = int(column.argmax())
        seen = float(before[candidate.target]), float(column[best])
        gains.append((seen[0] - seen[1], i, candidate, CORNERS[best], seen))
    values: dict[Patch, dict[str, Any]] = {}
    for _, _, candidate, corner, seen in sorted(gains, key=lambda gain: gain[:2]):
        # A patch stands here once, for the class that it raises most.
        if candidate.patch not in values:
            values[candidate.patch] = _value(bench, candidate, corner, seen)
    return list(values.values())


def _place(bench: Bench, candidate: _Candidate, corner: str) -> Place:
    return Place(float(corner.endswith("right")), float(corner.startswith("bottom")), candidate.side)


def _value(bench: Bench, c: _Candidate, corner: str, seen: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "patch": _patch_value(c.patch), "picture": thumbnail(bench.patch(c.patch)), "shows": c.shows,
        "target": {"index": c.target, "class": bench.names[c.target]}, "place": asdict(_place(bench, c, corner)),
        "before": None if seen is None else round(seen[0], 4), "after": None if seen is None else round(seen[1], 4),
        "flip_rate": c.flip_rate, "tested": c.tested,
    }  # fmt: skip


def _patch_value(patch: Patch) -> dict[str, Any]:
    """What asking.patch reads."""
    if isinstance(patch, Proposed):
        return asdict(patch)
    if isinstance(patch, Example):
        return {"cell": asdict(patch.cell), "example": patch.number}
    assert isinstance(patch, CellIcon)
    return {"cell": asdict(patch.cell), "icon": True}
