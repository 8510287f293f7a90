"""Which stage follows which, and what is already done. Every result is committed before the next stage starts.

Stages know nothing of files; this module knows nothing of how they work.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actatlas.adding import grown
from actatlas.atlas import Atlas, Layer
from actatlas.attributing import AttributionWork
from actatlas.collect import Collector, Pilot, Shard, run_pilot
from actatlas.elsewhere import CollectRecipe, NetworkAddress, SourceAddress, reaching
from actatlas.errors import NoImages, StorageError, TooFewImages
from actatlas.executors import Executor, InProcess, Work
from actatlas.grid import GridSettings, make_cells
from actatlas.heap import give_back
from actatlas.icons import IconWork
from actatlas.images import isolated_decoding
from actatlas.layout import lay_out
from actatlas.mending import forget_what_follows_layout
from actatlas.networks import Network
from actatlas.planning import MIN_IMAGES, BuildSettings, begin_or_continue, make_plan, planned_sides
from actatlas.progress import Progress, Tick
from actatlas.records import answers_at, read_pilot, write_activations, write_pilot, write_shard
from actatlas.site import own_examples, write_own_site
from actatlas.store import AtlasFolder, building, paths, write_cells
from actatlas.values import Collection, ImageSource, Layout


def build(
    network: Network,
    source: ImageSource,
    folder: Path,
    settings: BuildSettings,
    progress: Progress,
    executor: Executor | None = None,
    add: bool = False,
) -> Atlas:
    """Photos in, atlas out. Called again with the same arguments it continues where it stopped.

    executor: where shards are collected and icons painted, None in this process; it ends what it started with the build
    add: photos and layers that the atlas in `folder` does not have are added to it (adding.py)
    Everything that can be refused is refused before the folder is touched.
    """
    found = grown(folder, network, source, settings, add)
    if found is not None:
        source, settings = found.source, found.settings
    plan = make_plan(network, source, settings) if found is None else found.plan(network)
    executor = reaching(executor, network)
    with executor, building(folder) as files, isolated_decoding(settings.isolate_decoding):
        begin_or_continue(files, plan, network.labels, source, progress, can_grow=True)
        Run(network, source, files, settings, progress, executor).all_stages()
    return Atlas(AtlasFolder.existing(folder))


class Run:
    """One run of a build: the stages in order, each skipping what is committed; `vectors.py` has another first one."""

    def __init__(
        self,
        network: Network | None,
        source: ImageSource,
        files: AtlasFolder,
        settings: BuildSettings,
        progress: Progress,
        executor: Executor | None = None,
    ):
        self._network = network
        self.executor = executor or InProcess()
        self.source = source
        self.files = files
        self.settings = settings
        self.progress = progress
        self.atlas = Atlas(files)
        self.layers = self.atlas.layer_names
        self.seconds: dict[str, Any] = {"stages": {}, "icons": {}} | self.atlas.timings

    def all_stages(self) -> None:
        self.collect()
        self.lay_out()
        self.make_grids()
        self.attribute()
        self.paint()
        self.write_site()
        self.files.finish({"plan_sha256": hashlib.sha256(self.files.read_bytes("plan.json")).hexdigest()})

    # --- collect

    def collect(self) -> None:
        with self.timed("collect"):
            pilot, collections = self._pilot(), self.atlas.collections
            for number, collection in enumerate(collections):
                is_first_of = all(other.first != collection.first for other in collections[:number])
                self._collect(collection, pilot, is_first_of)
        self.check_images()

    def _collect(self, collection: Collection, pilot: Pilot, is_first_of: bool) -> None:
        """is_first_of: of its photos; a later one gives other layers' answers at the places that the first one chose"""
        wanted = self.settings.collect
        if self._attributes_a_sample:
            wanted = replace(wanted, attribution=None)
        if not is_first_of:
            wanted = replace(wanted, predictions=False)
        collector = Collector(self.network, self.source, collection.layers, wanted, pilot, self.atlas.lot_starts)
        missing = [
            index
            for index in range(collector.shard_count)
            if collection.first <= collector.image_ids(index)[0] < collection.last
            and not (self.files.has(paths.shard(index)) if is_first_of else self._has_answers(collection, index))
        ]
        if missing:
            self._collect_shards(collector, missing, is_first_of)

    def _has_answers(self, collection: Collection, index: int) -> bool:
        return all(self.files.has(paths.activations(layer, index)) for layer in collection.layers)

    def _collect_shards(self, collector: Collector, missing: list[int], is_first_of: bool) -> None:
        """Workers in other processes give shards back; this one alone writes."""
        self.change()
        left = sum(len(collector.image_ids(index)) for index in missing)
        where = self.executor.begin(self._work_of(collector))
        of = "" if is_first_of else f" of {', '.join(collector.layers)}"
        with self.progress.stage(f"Collecting activations{of}{where}", left, "images") as tick:
            for index, shard in self.executor.run(self._work_of(collector, tick), missing):
                if is_first_of:
                    write_shard(self.files, index, shard)
                else:
                    write_activations(self.files, index, answers_at(shard, self._image_ids(index), self.source))
                del shard  # before the next one grows
                if not self.executor.is_here:  # in this process photos are counted batch by batch
                    tick(len(collector.image_ids(index)))

    def _work_of(self, collector: Collector, tick: Tick | None = None) -> Work[int, Shard]:
        """A unit is a shard. tick: hears of photos as they are done in this process"""
        threads = torch.get_num_threads()

        def recipe() -> CollectRecipe:
            network, source = NetworkAddress.of(self.network), SourceAddress.of(self.source)
            isolate = self.settings.isolate_decoding
            return CollectRecipe(network, source, *collector.asked, threads, isolate)

        is_for_gpu = not self.executor.is_here and NetworkAddress.of(self.network).is_for_gpu
        return Work(
            title=lambda index: f"shard {index}", recipe=recipe, values=lambda index: index,
            here=lambda indices: collector.shards(indices, *([tick] if tick else [])),
            threads=threads, is_for_gpu=is_for_gpu,
        )  # fmt: skip

    def _image_ids(self, index: int) -> np.ndarray:
        return self.files.read_arrays(paths.places(index), ["image_ids"])["image_ids"]

    def _pilot(self) -> Pilot:
        """Of layers that were added, beside what was measured before."""
        pilot = read_pilot(self.files) if self.files.has("pilot.json") else None
        for group in self.atlas.layer_groups:
            if pilot is not None and set(group) <= set(pilot.map_sizes):
                continue
            fixed = None if pilot is None else pilot.precision
            more = run_pilot(
                self.network, self.source, group, self.settings.collect, self.progress, self.atlas.lot_starts, fixed
            )
            pilot = more if pilot is None else pilot.with_more_layers(more)
            self.change()
            write_pilot(self.files, pilot)
        assert pilot is not None  # an atlas has a layer
        return pilot

    def check_images(self) -> None:
        atlas = Atlas(self.files)
        counts = atlas.image_counts
        for image_id, reason in list(atlas.skipped.items())[:3]:
            self.progress.say(f"skipped {self.source.records[image_id].path}: {reason}")
        if counts["skipped"] > 3:
            self.progress.say(f"… and {counts['skipped'] - 3} more: all of them in actatlas.open(DIR).images")
        if counts["used"] < MIN_IMAGES:
            reason = next(iter(atlas.skipped.values()), "")
            raise NoImages(
                f"{self.source.spec}: {counts['used']} of {counts['listed']} images could be used ({reason}); "
                f"an atlas needs at least {MIN_IMAGES}; mend or replace them",
                **counts,
            )

    # --- layout and grids

    def lay_out(self) -> None:
        with self.timed("layout"):
            for name in self.layers:
                path = paths.statistics(name)
                if not self.files.has(path):
                    self.change()
                    layer = Atlas(self.files).layer(name)
                    self.files.write_arrays(path, _averages(layer, with_attributions=self.has_classes))
                    give_back()
            for group in self.atlas.layer_groups:
                if not all(self.files.has(paths.layout(paths.home(name))) for name in group):
                    self.change()
                    self._lay_out(group)

    def _lay_out(self, layers: list[str]) -> None:
        for name, layout in self.layouts(Atlas(self.files), layers).items():
            path = paths.layout(paths.home(name))
            before = self.files.was(path)
            self.files.write_arrays(path, {"points": layout.points})
            if before not in (None, self.files.was(path)):  # it was lost, and this one is another
                forget_what_follows_layout(self.files, name)

    def layouts(self, atlas: Atlas, layers: list[str]) -> dict[str, Layout]:
        """Of layers that came together. Those that came before them keep their places."""
        before = itertools.takewhile(lambda group: group != layers, atlas.layer_groups)
        fixed = {name: atlas.layer(name).layout for group in before for name in group}
        beside = {name: fixed.get(name) for name in self.layers if name in fixed or name in layers}
        image_ids = atlas.layer(self.layers[0]).places.image_ids
        vectors = _VectorsByLayer(atlas, layers)
        return lay_out(vectors, image_ids, self.settings.layout, self.progress, beside if fixed else {})

    def make_grids(self) -> None:
        with self.timed("grid"):
            atlas = Atlas(self.files)
            self.sides = self.planned_sides()
            work = [
                (n, s) for n in self.layers for s in self.sides if not self.files.has(paths.cells(paths.home(n), s))
            ]
            if not work:
                return
            self.change()
            with self.progress.stage("Averaging cells", len(work), "grids") as tick:
                for name, side in work:
                    self._make_grid(atlas.layer(name), side)
                    tick(1)
        if not any(len(Atlas(self.files).layer(n).grid(s)) for n in self.layers for s in self.sides):
            raise TooFewImages(
                f"no cell of the {self.sides[0]} × {self.sides[0]} grid holds {MIN_IMAGES} photos; "
                f"{'choose a smaller --grid, or ' if self.sides[0] > 2 else ''}add photos, crops or positions"
            )

    def planned_sides(self) -> list[int]:
        return planned_sides(self.settings, len(self.source.records))

    def _make_grid(self, layer: Layer, side: int) -> None:
        settings = GridSettings(side=side)
        cells = make_cells(Layout(layer.layout), lambda: layer.read_shards(self.has_classes), layer.mean, settings)
        write_cells(self.files, layer.home, cells)

    # --- attributions of some of each cell

    def attribute(self) -> None:
        """Where there are too many activations for all of them to have been attributed as they were collected."""
        if not self._attributes_a_sample:
            return
        with self.timed("attributions"):
            collect = self.settings.collect
            work = AttributionWork(self.network, self.source, self.files, collect, self.sides, self.progress)
            if work.is_done:
                return
            self.change()
            work.attribute()
            work.average()

    # --- icons

    def paint(self) -> None:
        with self.timed("icons"):
            work = IconWork(
                self.network, self.files, self.settings, self.sides, self.progress, self.seconds, self.executor
            )
            if work.is_done:
                return
            self.change()
            self.write_page()  # to look at while the icons are painted
            work.learn()
            work.paint()

    # --- site

    def write_site(self) -> None:
        with self.timed("site"):
            asked = self.settings.examples
            is_as_asked = asked is None or asked == own_examples(self.atlas)
            if is_as_asked and self.files.has("site/index.html") and self.files.is_finished:
                return
            self.change()
            self.write_page()

    # --- inside

    @property
    def network(self) -> Network:
        assert self._network is not None, "a stage that needs the network of an atlas that has none"
        return self._network

    @property
    def has_classes(self) -> bool:
        return self.settings.collect.attribution is not None and self.network.class_count is not None

    @property
    def _attributes_a_sample(self) -> bool:
        """As it was begun: photos that are added do not change what single activations carry."""
        return self.has_classes and self.settings.collect.attributes_a_sample(self.atlas.collections[0].last)

    def write_page(self) -> None:
        write_own_site(Atlas(self.files), self.progress, self.settings.examples)

    def change(self) -> None:
        """Before anything is written: the atlas is no longer finished, and its site no longer shows all of it."""
        if self.files.is_finished:
            self.files.reopen()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        before = len(self.files.committed())
        try:
            yield
        except BaseException:
            with contextlib.suppress(StorageError):  # what went wrong first is what is told
                self._note_seconds(stage, started, before)
            raise
        self._note_seconds(stage, started, before)

    def _note_seconds(self, stage: str, started: float, committed_before: int) -> None:
        stages = self.seconds["stages"]
        stages[stage] = stages.get(stage, 0.0) + time.monotonic() - started
        if len(self.files.committed()) != committed_before or not self.files.is_finished:
            self.files.write_uncounted("timings.json", self.seconds)


class _VectorsByLayer(Mapping[str, np.ndarray]):
    """{layer: vectors (N, C) float16}, each read when it is asked for, so that one layer is in memory at a time."""

    def __init__(self, atlas: Atlas, layers: list[str]):
        self._atlas = atlas
        self._layers = layers

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, name: str) -> np.ndarray:
        found, done = None, 0
        for part in self._atlas.layer(name).read_shards():
            if found is None:
                found = np.empty((self._atlas.layer(name).activation_count, *part.vectors.shape[1:]), np.float16)
            found[done : done + len(part)] = part.vectors
            done += len(part)
        assert found is not None
        return found


def _averages(layer: Layer, with_attributions: bool) -> dict[str, np.ndarray]:
    """Over all activations of the layer: mean (C,) and, where there are any, attribution_mean (classes,), float32."""
    sums: dict[str, np.ndarray] = {}
    count = 0
    for part in layer.read_shards(with_attributions):
        arrays = {"mean": part.vectors, "attribution_mean": part.attributions}
        for name, values in arrays.items():
            if values is not None:
                sums[name] = sums.get(name, 0.0) + values.sum(axis=0, dtype=np.float64)
        count += len(part)
    return {name: np.asarray(total / count, np.float32) for name, total in sums.items()}
