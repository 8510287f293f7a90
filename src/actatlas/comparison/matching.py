"""Which activations of two atlases are of the same photo and place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from actatlas.atlas import Atlas, Layer
from actatlas.errors import UsageError

# Networks that prepare photos alike but for rounding have places apart by less; a cell of a map of 14 × 14 is 0.07.
_NEAR = 0.01
_LEAST_SHARE = 0.5  # of the rows of the smaller atlas; places drawn anew come near by chance in about one of a hundred
LEAST_PHOTOS = 20
_APART = 10.0  # far more than places within a photo can be


@dataclass(frozen=True)
class Matched:
    """rows: (n,) of the first and of the second layer, pair by pair, in the first's order
    image_ids: (n,) of the first atlas
    alone: how many rows of the first and of the second found no partner
    photos: how many photos both have, and each has
    """

    rows: tuple[np.ndarray, np.ndarray]
    image_ids: np.ndarray
    alone: tuple[int, int]
    photos: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.image_ids)


def match_rows(first: Layer, second: Layer) -> Matched:
    """Pairs of rows of the same photo at the same place. Raises UsageError where there are too few."""
    for layer in (first, second):
        layer.atlas.require_activations("compare it")
    photo_of, common = _common_photos(first.atlas, second.atlas)
    places = []
    for layer, numbers in zip((first, second), photo_of, strict=True):
        ids = layer.places.image_ids
        photo = np.array([numbers.get(i, -1) for i in ids.tolist()], np.int64)
        places.append(_Places(layer, np.flatnonzero(photo >= 0), photo[photo >= 0]))
    is_spatial = first.info.form != "vectors" and second.info.form != "vectors"
    pairs = _mutually_nearest(*(each.coordinates(is_spatial) for each in places))
    rows = tuple(each.rows[pair] for each, pair in zip(places, pairs, strict=True))
    order = np.argsort(rows[0], kind="stable")
    counts = first.activation_count, second.activation_count
    found = Matched(
        rows=(rows[0][order], rows[1][order]),
        image_ids=first.places.image_ids[rows[0][order]],
        alone=(counts[0] - len(order), counts[1] - len(order)),
        photos=(common, len(photo_of[0]), len(photo_of[1])),
    )
    photo_count = len(np.unique(found.image_ids))
    if len(found) < _LEAST_SHARE * min(counts) or photo_count < LEAST_PHOTOS:
        raise UsageError(_too_few(first, second, found, photo_count), matched=len(found), photos=photo_count)
    return found


@dataclass(frozen=True)
class _Places:
    """Rows (n,) of a layer whose photos both atlases have, and the number of each row's photo."""

    layer: Layer
    rows: np.ndarray
    photo: np.ndarray

    def coordinates(self, is_spatial: bool) -> np.ndarray:
        """(n, 7): the photo, the crop, and the place in it; of layers without places, which of the photo's rows."""
        places = self.layer.places.taken(self.rows)
        within = places.positions if is_spatial else np.stack([self._turns(), np.zeros(len(self.rows))], axis=1)
        return np.hstack([self.photo[:, None] * _APART, places.boxes, within]).astype(np.float64)

    def _turns(self) -> np.ndarray:
        """(n,): how many rows of the same photo came before."""
        order = np.argsort(self.photo, kind="stable")
        of = self.photo[order]
        turns = np.empty(len(order), np.int64)
        turns[order] = np.arange(len(order)) - np.searchsorted(of, of, side="left")
        return turns


def _mutually_nearest(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) rows of each that are one another's nearest, and near."""
    if not len(one) or not len(other):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distance, to = KDTree(other).query(one, p=np.inf, distance_upper_bound=_NEAR)
    _, back = KDTree(one).query(other, p=np.inf, distance_upper_bound=_NEAR)
    near = np.flatnonzero(np.isfinite(distance))
    near = near[back[to[near]] == near]
    return near, to[near].astype(np.int64)


def _common_photos(first: Atlas, second: Atlas) -> tuple[tuple[dict[int, int], dict[int, int]], int]:
    """For each atlas {image id: number}, the same number for the same photo, −1 for one that the other lacks; and how
    many both have.

    A photo is known by its path; where that leads nowhere, by its path below the folder that all lie in, or its name.
    """
    best: tuple[tuple[dict[int, int], dict[int, int]], int] = ({}, {}), -1
    for naming in _NAMINGS:
        names = [_named(atlas, naming) for atlas in (first, second)]
        both = names[0].keys() & names[1].keys()
        if len(both) > best[1]:
            numbers = {name: i for i, name in enumerate(name for name in names[0] if name in both)}
            one, other = ({i: numbers.get(name, -1) for name, i in each.items()} for each in names)
            best = (one, other), len(both)
        if 2 * len(both) >= min(map(len, names)):
            break  # a looser name would only bring chance likenesses
    return best


def _named(atlas: Atlas, naming: Naming) -> dict[tuple[str, int], int]:
    """{(name, how many of that name came before): image id} of the photos that were used."""
    used = atlas.images[atlas.images["skipped"].isna()]
    seen: Counter[str] = Counter()
    found = {}
    for name, image_id in zip(naming(list(used["path"])), used["id"].tolist(), strict=True):
        found[name, seen[name]] = image_id
        seen[name] += 1
    return found


def _below_common_folder(paths: list[str]) -> list[str]:
    folders = {os.path.dirname(path) for path in paths}
    try:
        common = os.path.commonpath(sorted(folders)) if folders and "" not in folders else ""
    except ValueError:  # on several drives, or some absolute and some not
        common = ""
    return [os.path.relpath(path, common) if common else path for path in paths]


def _as_they_are(paths: list[str]) -> list[str]:
    return paths


def _names_alone(paths: list[str]) -> list[str]:
    return [os.path.basename(path) for path in paths]


# By what a photo may be known, the strictest first.
Naming = Callable[[list[str]], list[str]]
_NAMINGS: tuple[Naming, ...] = (_as_they_are, _below_common_folder, _names_alone)


def _too_few(first: Layer, second: Layer, found: Matched, photo_count: int) -> str:
    one, other = first.atlas, second.atlas
    both, of_first, of_second = found.photos
    fewer = min(first.activation_count, second.activation_count)
    told = (
        f"{one.folder} and {other.folder} have {len(found):,} of {fewer:,} activations "
        f"at the same photos and places ({photo_count:,} photos), too few to compare"
    )
    if 2 * both < min(of_first, of_second):
        return f"{told}: {both:,} of {of_first:,} and {of_second:,} photos are in both; build both from the same photos"
    different = _different(one, other)
    why = f": they differ in {', '.join(different)}" if different else ""
    return f"{told}{why}; build one whose places fit: {_command(one, other)}"


def _different(one: Atlas, other: Atlas) -> list[str]:
    """Of what places follow from, what is not alike."""
    collect = [atlas.plan["settings"]["collect"] for atlas in (one, other)]
    found = [
        f"--{key} ({collect[0][key]} and {collect[1][key]})"
        for key in ("seed", "crops", "positions")
        if collect[0][key] != collect[1][key]
    ]
    maps = [_maps(atlas) for atlas in (one, other)]
    if maps[0] != maps[1]:
        found.append(f"their layers' maps ({_told_maps(maps[0])} and {_told_maps(maps[1])})")
    if list(one.images["path"]) != list(other.images["path"]):
        found.append("the order of their photos, or which are listed")
    return found


def _maps(atlas: Atlas) -> set[tuple[int, int]]:
    """The map that places are drawn in: the coarsest of the layers' that has an inside; none of layers without maps."""
    sizes = {atlas.layer(name).info.shape[1:] for name in atlas.layer_names} - {(1, 1)}
    return {min(sizes, key=lambda size: (min(size) < 3, size))} if sizes else set()


def _told_maps(sizes: set[tuple[int, int]]) -> str:
    return ", ".join(f"{height} × {width}" for height, width in sorted(sizes)) or "none"


def _command(one: Atlas, other: Atlas) -> str:
    """What builds an atlas of the second network whose places are the first's."""
    collect, plan = one.plan["settings"]["collect"], one.plan
    spec = other.plan["network"]["spec"]
    side, resized = one.preprocessing.input_px[0], one.preprocessing.resize_px
    if other.preprocessing.input_px != one.preprocessing.input_px:
        mark = "&" if "?" in spec else "?"
        spec = f"{spec}{mark}input_px={side}" + (f"&resize_px={resized}" if resized else "")
    sizes = _maps(one)
    fitting = [name for name in other.layer_names if other.layer(name).info.shape[1:] in sizes]
    is_as_before = other.preprocessing.input_px == one.preprocessing.input_px
    layers = fitting if fitting and is_as_before else other.layer_names
    images = plan["images"]["spec"]
    parts = [f"actatlas build {images} --out NEW --model '{spec}'", *(f"--layer {name}" for name in layers)]
    parts += [f"--{key} {collect[key]}" for key in ("crops", "positions", "seed") if collect[key] or key == "seed"]
    told = " ".join(parts)
    if not fitting or not is_as_before:
        told += f" (with layers whose maps are {_told_maps(sizes)})"
    return told
