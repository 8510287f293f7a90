"""Attributions of some members of each cell, where there are too many activations for all of them to carry any."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from actatlas.atlas import Atlas, Layer
from actatlas.collect import Attributor, CollectSettings
from actatlas.networks import Network
from actatlas.progress import Progress
from actatlas.records import read_pilot, write_attributed, write_average_attribution, write_cell_attributions
from actatlas.sample import (
    CellSample,
    average_all,
    average_cells,
    choose_for_average,
    choose_members,
    row_keys,
)
from actatlas.store import AtlasFolder, paths
from actatlas.values import CellAttributions, Cells, ImageSource


class AttributionWork:
    """What is left to attribute of an atlas whose cells are there. Committed unit by unit.

    sides: of the grids whose cells are to have attributions
    """

    def __init__(
        self,
        network: Network,
        source: ImageSource,
        files: AtlasFolder,
        settings: CollectSettings,
        sides: list[int],
        progress: Progress,
    ):
        self._network, self._source, self._files, self._progress = network, source, files, progress
        self._settings, self._sides = settings, sides
        self._atlas = Atlas(files)
        self._layers = [self._atlas.layer(name) for name in self._atlas.layer_names]
        self._places = self._layers[0].places
        self._keys = row_keys(settings.seed, len(self._places))

    @property
    def is_done(self) -> bool:
        return all(
            self._files.has(paths.average_attribution(layer.name))
            and all(self._files.has(paths.cell_attributions(layer.home, side)) for side in self._sides)
            for layer in self._layers
        )

    def attribute(self) -> None:
        """Photos of the chosen members through the network, those that carry attributions already left out."""
        for names in self._atlas.layer_groups:
            self._attribute([layer for layer in self._layers if layer.name in names])

    def _attribute(self, layers: list[Layer]) -> None:
        """Layers that came together have the same units."""
        done = min(len(layer.attribution_units) for layer in layers)
        wanted = {layer.name: np.setdiff1d(self._chosen(layer), self._stored(layer, done)) for layer in layers}
        names = [layer.name for layer in layers]
        attributor = Attributor(self._network, self._source, names, self._settings, read_pilot(self._files))
        count = len(attributor.inputs(wanted))
        if count == 0:
            return
        unit_name = "crops" if self._settings.crops else "photos"
        with self._progress.stage("Attributing some of each cell", count, unit_name) as tick:
            for unit, found in enumerate(attributor.units(wanted, self._places, tick), start=done):
                for name in names:
                    write_attributed(self._files, name, unit, found[name])

    def average(self) -> None:
        """What the layers and their cells speak for."""
        left = [
            (layer, side)
            for layer in self._layers
            for side in self._sides
            if not self._files.has(paths.cell_attributions(layer.home, side))
        ]
        with self._progress.stage("Averaging attributions", len(left), "grids") as tick:
            for layer in self._layers:
                if not self._files.has(paths.average_attribution(layer.name)):
                    found = average_all(self._for_average, len(self._places), layer.read_attributed)
                    write_average_attribution(self._files, layer.name, self._for_average, *found)
                for side in [side for other, side in left if other is layer]:
                    cells = average_cells(self._sample(layer, side), layer.read_attributed, layer.attribution_mean)
                    write_cell_attributions(self._files, layer.home, side, cells)
                    tick(1)

    # --- inside

    def _sample(self, layer: Layer, side: int) -> CellSample:
        offsets, rows = layer.grid(side).all_members
        return choose_members(offsets, rows, self._places.image_ids, self._keys, self._settings.attributed_photos)

    def _chosen(self, layer: Layer) -> np.ndarray:
        of_cells = [self._sample(layer, side).rows for side in self._sides]
        return np.unique(np.concatenate([self._for_average, *of_cells]))

    @cached_property
    def _for_average(self) -> np.ndarray:
        return choose_for_average(self._keys, self._settings.attributed_for_average)

    def _stored(self, layer: Layer, unit_count: int) -> np.ndarray:
        """Rows of the units that are whole: those of a unit that was cut short are made again."""
        parts = [self._files.read_arrays(path, ["rows", "failed"]) for path in layer.attribution_units[:unit_count]]
        return np.concatenate([np.empty(0, np.int64), *(rows for part in parts for rows in part.values())])


def attribute_cells(
    network: Network, layer: Layer, rows: np.ndarray, cells: Cells, progress: Progress
) -> CellAttributions:
    """What the cells of an atlas of some of a layer's activations speak for, where these do not all carry attributions.

    rows: (n,) the activations, ascending; the cells' members are numbered among them
    Raises PlanChanged for a network with other weights than the atlas's, UnreadableImage where a photo is gone.
    """
    atlas = layer.atlas
    atlas.require_weights(network.spec, network.weights_sha256)
    settings = CollectSettings(**atlas.plan["settings"]["collect"])
    keys = row_keys(settings.seed, layer.activation_count)[rows]
    image_ids = layer.places.image_ids[rows]
    sample = choose_members(cells.member_offsets, cells.member_rows, image_ids, keys, settings.attributed_photos)
    chosen = rows[sample.rows]
    stored = layer.carrying(chosen)
    wanted = {layer.name: np.setdiff1d(chosen, stored)}
    attributor = Attributor(network, atlas.source, [layer.name], settings, read_pilot(atlas.files))
    with progress.stage("Attributing some of each cell", len(attributor.inputs(wanted)), "crops") as tick:
        units = [unit[layer.name] for unit in attributor.units(wanted, layer.places, tick)]

    def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in units:
            yield np.searchsorted(rows, part.rows), part.attributions
        for part_rows, attributions in layer.read_attributed():
            is_chosen = np.isin(part_rows, stored)
            yield np.searchsorted(rows, part_rows[is_chosen]), attributions[is_chosen]

    return average_cells(sample, read, layer.attribution_mean)
