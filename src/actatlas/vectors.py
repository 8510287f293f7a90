"""An atlas of vectors that a user brings: pipeline.py's stages after another first one.

With the network and the layer that gave the vectors, icons are painted as in any atlas. Without, nothing can be
painted: a cell's picture is the photo, or the part of one, whose own vector is nearest to the cell's mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from actatlas.atlas import Atlas, Grid, Layer, cut_pictures
from actatlas.collect import Shard, map_index, run_pilot, to_pixels
from actatlas.elsewhere import reaching
from actatlas.errors import BadVectors, UnreadableImage, UsageError
from actatlas.executors import Executor
from actatlas.given import GivenVectors
from actatlas.grid import default_sides
from actatlas.inversion import cosines_to_targets, ranks
from actatlas.layout import as_given
from actatlas.networks import Network
from actatlas.pipeline import Run
from actatlas.planning import (
    BuildSettings,
    begin_or_continue,
    chosen_layers,
    common_to_plans,
    listed_photos,
    make_plan,
)
from actatlas.preprocessing import Preprocessing
from actatlas.progress import Progress
from actatlas.records import write_pilot, write_shard
from actatlas.store import AtlasFolder, building, paths, write_icons
from actatlas.values import ActivationSet, Icons, ImageSource, LayerInfo, Layout

LAYER = "vectors"  # what the one layer is called where no network names it
INPUT_PX = 224  # a photo's middle square is shown so large, where no network says how it sees photos
_SHARD_ROWS = 65_536
_PICTURES_AT_ONCE = 512
_ROWS_AT_ONCE = 2048
_ASKED = 16  # photos on which given vectors are compared with what the layer gives
_LEAST_COSINE = 0.9
_MAX_THREADS = 8


def build_given(
    given: GivenVectors,
    folder: Path,
    settings: BuildSettings,
    progress: Progress,
    network: Network | None = None,
    executor: Executor | None = None,
) -> Atlas:
    """Vectors in, atlas out; called again with the same arguments it continues.

    network: what gave the vectors, at `settings.layers`, one name; None where icons cannot be painted
    executor: where icons are painted, None in this process

    Raises BadVectors where the vectors are not that layer's; all that can be refused is refused before the folder is
    touched.
    """
    settings = replace(settings, collect=replace(settings.collect, attribution=None, predictions=False))
    plan = make_vector_plan(given, settings, network)
    labels = None if network is None else network.labels
    executor = reaching(executor, network)
    with executor, building(folder) as files:
        begin_or_continue(files, plan, labels, given.source, progress)
        run = _PhotoRun if network is None else _VectorRun
        run(given, network, files, settings, progress, executor).all_stages()
    return Atlas(AtlasFolder.existing(folder))


def make_vector_plan(given: GivenVectors, settings: BuildSettings, network: Network | None) -> dict[str, Any]:
    """As `make_plan`; "vectors" says what was given. Raises BadVectors, UsageError, and what `make_plan` raises."""
    sha256 = given.sha256
    told = {
        "name": given.name, "sha256": sha256, "regions": given.region_column or None,
        "has_layout": given.points is not None, "pictures": "photos" if network is None else "icons",
    }  # fmt: skip
    if network is not None:
        if len(settings.layers) != 1:
            raise UsageError("vectors are one layer's: name it, --layer NAME once, beside --model")
        _require_of_layer(given, network, chosen_layers(network, settings.layers)[0])
        plan = make_plan(network, given.source, settings)
        return plan | {"vectors": told, "origin": f"{plan['origin']} Vectors: {Path(given.name).name}."}
    if settings.examples == "none":
        raise UsageError(
            "without a network a cell's picture is a photo, so --examples none would leave nothing; "
            "give --model and --layer too, or leave it out"
        )
    if given.positions is not None and given.boxes is None:
        raise BadVectors(
            f"{given.name} has positions and no boxes: without a network nobody knows how much of a photo a position "
            "stands for; add boxes (left, top, right, bottom), or give --model and --layer"
        )
    side = min(settings.icons.size_px, INPUT_PX)
    info = LayerInfo(
        name=(settings.layers or (LAYER,))[0], type="vectors", shape=(given.vectors.shape[1], 1, 1), form="vectors",
        stride=INPUT_PX, receptive_field_px=INPUT_PX,
    )  # fmt: skip
    file = Path(given.name).name
    return common_to_plans(settings) | {
        "title": settings.title or f"{file}: {Path(given.source.spec).name}".removesuffix(f": {file}"),
        "origin": f"Vectors {file}, sha256 {sha256[:12]}. Photos: {given.source.spec}.",
        "network": {
            "spec": f"vectors:{file}", "weights_sha256": sha256, "class_count": None, "is_fixed_size": True,
            "preprocessing": Preprocessing((INPUT_PX, INPUT_PX), INPUT_PX).to_json(),
        },
        "layers": [asdict(info)],
        "images": listed_photos(given.source),
        "icon_px": {info.name: side},
        "vectors": told,
    }  # fmt: skip


def _require_of_layer(given: GivenVectors, network: Network, layer: LayerInfo) -> None:
    """Raises BadVectors where some of the vectors are not what the layer gives at their places."""
    count = given.vectors.shape[1]
    if count != layer.shape[0]:
        raise BadVectors(
            f"{given.name} has vectors of {count} numbers and {layer.name} of {network.spec} {layer.shape[0]} "
            "channels; name the layer that gave them, or leave --model out"
        )
    if given.positions is None and layer.shape[1:] != (1, 1):
        raise BadVectors(
            f"{layer.name} has {layer.shape[1]} × {layer.shape[2]} positions and {given.name} does not say which a row "
            "is of: add positions (row, column), fractions of the map, or leave --model out"
        )
    rows = np.unique(np.linspace(0, len(given) - 1, _ASKED).astype(int))
    inputs, asked = [], []
    for row in rows.tolist():
        try:
            photo = given.source.read(int(given.image_ids[row]))
        except UnreadableImage:
            continue
        inputs.append(np.asarray(network.preprocessing.crop(photo, _box(given, row))))
        asked.append(row)
    if not inputs:
        return  # that no photo can be read is said where they are collected
    shape = (len(inputs), *network.preprocessing.input_px, network.preprocessing.channel_count)
    pixels = to_pixels(np.stack(inputs).reshape(shape)).to(network.device)
    maps = network.activations(network.normalize(pixels), [layer.name])[layer.name].detach().float().cpu().numpy()
    at = map_index(_positions(given)[asked], maps.shape[2:])  # (n, 2)
    answers = maps[np.arange(len(asked)), :, at[:, 0], at[:, 1]]  # (n, C)
    own = given.vectors[asked]
    norms = np.linalg.norm(answers, axis=1) * np.linalg.norm(own, axis=1)
    cosine = float(np.median(np.einsum("nc,nc->n", answers, own) / np.maximum(norms, 1e-12)))
    if cosine < _LEAST_COSINE:
        raise BadVectors(
            f"{given.name} is not what {layer.name} of {network.spec} gives: on {len(asked)} photos the median "
            f"cosine is {cosine:.2f}; name the layer that gave them, or leave --model out to see photos"
        )


def _box(given: GivenVectors, row: int) -> tuple[float, float, float, float] | None:
    return None if given.boxes is None else tuple(given.boxes[row].tolist())


def _positions(given: GivenVectors) -> np.ndarray:
    """(N, 2): the middle where none are given."""
    return np.full((len(given), 2), 0.5, np.float32) if given.positions is None else given.positions


class _VectorRun(Run):
    """The build of an atlas of given vectors, with their network."""

    def __init__(
        self,
        given: GivenVectors,
        network: Network | None,
        files: AtlasFolder,
        settings: BuildSettings,
        progress: Progress,
        executor: Executor | None = None,
    ):
        super().__init__(network, given.source, files, settings, progress, executor)
        self.given = given

    # --- in the place of collecting

    def collect(self) -> None:
        with self.timed("collect"):
            if not self.files.has("pilot.json"):
                self.change()
                self.write_pilot()
            if not self._is_collected:
                self.change()
                self._write_shards()
        self.check_images()

    def write_pilot(self) -> None:
        write_pilot(self.files, run_pilot(self.network, self.source, self.layers, self.settings.collect, self.progress))

    @property
    def _is_collected(self) -> bool:
        atlas = Atlas(self.files)
        if self.given.regions is not None and not self.files.has(paths.region_names(self.layers[0])):
            return False
        return bool(atlas.shards) and sum(shard["activations"] for shard in atlas.shards) == len(self._kept)

    @property
    def _kept(self) -> np.ndarray:
        """(n,) the rows whose photo could be read."""
        return np.flatnonzero(~np.isin(self.given.image_ids, list(Atlas(self.files).skipped)))

    def _write_shards(self) -> None:
        given, name = self.given, self.layers[0]
        whole, skipped = self._photos_looked_at()
        kept = np.flatnonzero(~np.isin(given.image_ids, list(skipped)))
        boxes = given.boxes
        if boxes is None:
            boxes = np.array([whole.get(int(i), (0.0, 0.0, 1.0, 1.0)) for i in given.image_ids], np.float32)
        positions = _positions(given)
        for start in range(0, max(len(kept), 1), _SHARD_ROWS):
            rows = kept[start : start + _SHARD_ROWS]
            part = ActivationSet(
                given.vectors[rows].astype(np.float16), given.image_ids[rows], positions[rows], boxes[rows]
            )
            write_shard(self.files, start // _SHARD_ROWS, Shard({name: part}, None, skipped if start == 0 else {}))
        if given.regions is not None:
            names, of = np.unique(given.regions[kept], return_inverse=True)
            self.files.write_arrays(paths.regions(name), {"of": of.astype(np.int32)})
            self.files.write_json(paths.region_names(name), names.tolist())

    def _photos_looked_at(self) -> tuple[dict[int, tuple[float, float, float, float]], dict[int, str]]:
        """Of each photo that can be read the part that is used, and why the others cannot."""
        preprocessing = Atlas(self.files).preprocessing
        wanted = np.unique(self.given.image_ids).tolist()
        absent = set(range(len(self.source.records))) - set(wanted)
        whole, skipped = {}, {i: "no vector is of it" for i in sorted(absent)}
        with self.progress.stage("Looking at the photos", len(wanted), "photos") as tick:
            for image_id, found in _looked_at(self.source, wanted):
                if isinstance(found, str):
                    skipped[image_id] = found
                else:
                    whole[image_id] = preprocessing.full_box(found)
                tick(1)
        return whole, skipped

    # --- layout and grids

    def layouts(self, atlas: Atlas, layers: list[str]) -> dict[str, Layout]:
        if self.given.points is None:
            return super().layouts(atlas, layers)
        return {self.layers[0]: as_given(self.given.points[self._kept])}

    def planned_sides(self) -> list[int]:
        return sorted(set(self.settings.grids)) or default_sides(len(self.given))

    @property
    def has_classes(self) -> bool:
        return False  # what vectors say of classes is their network's to know


class _PhotoRun(_VectorRun):
    """The same without a network."""

    def write_pilot(self) -> None:
        name = self.layers[0]
        told = {
            "precision": "float32", "agreement": {name: 1.0}, "patch_px": {name: INPUT_PX}, "windows": {},
            "map_sizes": {name: [1, 1]},
        }  # fmt: skip
        self.files.write_json("pilot.json", told)

    def paint(self) -> None:
        with self.timed("icons"):
            layer = Atlas(self.files).layer(self.layers[0])
            grids = [layer.grid(side) for side in layer.grid_sides]
            missing = [grid for grid in grids if not self.files.has(paths.mended_icons(layer.home, grid.side))]
            if not any(len(grid) for grid in missing):
                return
            self.change()
            with self.progress.stage("Cutting the cells' pictures", sum(map(len, missing)), "cells") as tick:
                for grid in missing:
                    for rows, icons in nearest_pictures(grid):
                        number = int(rows[0]) // _PICTURES_AT_ONCE
                        write_icons(self.files, paths.icons(layer.home, grid.side, number), rows, icons)
                        tick(len(rows))
                    # With this file a grid's pictures are complete.
                    write_icons(self.files, paths.mended_icons(layer.home, grid.side), *_no_icons(layer))


def nearest_pictures(grid: Grid) -> Iterator[tuple[np.ndarray, Icons]]:
    """(n,) cells and their pictures, a few hundred at once: of each the part of a photo that its nearest member is of.

    Figures are those of this member's own vector: they say how near the picture is to the cell, as an icon's do.
    """
    layer = grid.layer
    members = np.array([grid.nearest_rows(k, 1)[0] for k in range(len(grid))], np.int64)
    vectors = layer.activations.vectors[members]
    for start in range(0, len(grid), _PICTURES_AT_ONCE):
        cells = np.arange(start, min(start + _PICTURES_AT_ONCE, len(grid)))
        cosines = cosines_to_targets(vectors[cells], grid.means, layer.mean)  # (n, K)
        own = cosines[np.arange(len(cells)), cells].astype(np.float32)
        pixels, unknown = cut_pictures(layer, members[cells]), np.full(len(cells), np.nan, np.float32)
        yield cells, Icons(pixels, own, ranks(cosines, cells), unknown)


def _no_icons(layer: Layer) -> tuple[np.ndarray, Icons]:
    px, none = layer.icon_px, np.zeros(0, np.float32)
    return np.zeros(0, np.int64), Icons(np.zeros((0, px, px, 3), np.uint8), none, none.astype(np.int32), none)


def _looked_at(source: ImageSource, image_ids: list[int]) -> Iterator[tuple[int, tuple[int, int] | str]]:
    """Each photo's (width, height), as far as its proportions go, or why it cannot be used."""
    read_reduced = getattr(source, "read_reduced", None)

    def look(image_id: int) -> tuple[int, tuple[int, int] | str]:
        try:
            photo = source.read(image_id) if read_reduced is None else read_reduced(image_id, INPUT_PX)
        except UnreadableImage as error:
            return image_id, error.reason
        return image_id, photo.size

    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS), thread_name_prefix="actatlas-look") as pool:
        for start in range(0, len(image_ids), _ROWS_AT_ONCE):
            yield from pool.map(look, image_ids[start : start + _ROWS_AT_ONCE])
