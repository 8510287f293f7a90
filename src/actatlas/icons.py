"""The icons of an atlas: what photos look like is learnt, then the cells are painted round by round, each committed."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np

from actatlas.atlas import Atlas, Grid, Layer, cut_patches
from actatlas.elsewhere import Canvas
from actatlas.executors import Executor
from actatlas.inversion import (
    InversionSettings,
    Painting,
    Renderer,
    directions_of,
    learn_expectation,
    measure,
    nearest_directions,
    picture_key,
)
from actatlas.networks import Network
from actatlas.planning import BuildSettings
from actatlas.progress import Progress, Tick
from actatlas.records import read_expectation, read_pilot, write_expectation
from actatlas.store import AtlasFolder, paths, pictures, write_icons
from actatlas.studio import Studio
from actatlas.values import Cells, Icons

Manner = Literal["plain", "draft", "named"]


class IconWork:
    """What is left to paint of an atlas whose cells are there.

    seconds: where measured times are noted
    """

    def __init__(
        self,
        network: Network,
        files: AtlasFolder,
        settings: BuildSettings,
        sides: list[int],
        progress: Progress,
        seconds: dict[str, Any],
        executor: Executor,
    ):
        self._executor = executor
        self._network, self._files, self._progress, self._seconds = network, files, progress, seconds
        self._icons, self._seed = settings.icons, settings.collect.seed
        self._atlas = Atlas(files)
        self._layers = [self._atlas.layer(name) for name in self._atlas.layer_names]
        self._grids = [[layer.grid(side) for layer in self._layers] for side in sorted(sides)]

    @property
    def is_done(self) -> bool:
        return all(self._is_complete(grid) for grids in self._grids for grid in grids)

    def learn(self) -> None:
        """What photos look like where each layer answers like this, from patches around the same rows of all layers."""
        layers = [layer for layer in self._layers if read_expectation(self._files, layer.name) is None]
        count = min(self._icons.learning_patches, self._layers[0].activation_count)
        if not layers or count == 0 or self._icons.likeness == 0:
            return
        started = time.monotonic()
        random = np.random.Generator(np.random.Philox(key=picture_key(self._seed, "learning")))
        rows = np.sort(random.choice(self._layers[0].activation_count, count, replace=False))
        colour = read_pilot(self._files).colour
        with self._progress.stage("Learning what photos look like", count * len(layers), "patches") as tick:
            for layer, patches in zip(layers, self._patches(layers, rows), strict=True):
                photos = layer.places.image_ids[rows]
                vectors = np.concatenate([part.vectors for part in layer.read_rows(rows)]).astype(np.float32)
                learnt = learn_expectation(
                    self._network, layer.name, vectors, patches, photos, layer.mean, colour, self._icons
                )
                write_expectation(self._files, layer.name, learnt)
                tick(count)
        self._seconds["learning"] = self._seconds.get("learning", 0.0) + time.monotonic() - started

    def paint(self) -> None:
        """From the coarsest grid on, all layers in turn, so that they fill together and the time left is right."""
        paintings = self._paintings()
        left = [
            [
                turn
                for number, turn in enumerate(painting.rounds)
                if not self._is_complete(grid) and not self._files.has(paths.icons(grid.layer.home, grid.side, number))
            ]
            for grid, painting in paintings.items()
        ]
        count = sum(len({row for turn in turns for row in turn.rows.tolist()}) for turns in left)
        work = sum(len(turn.rows) * turn.steps for turns in left for turn in turns)
        where = self._studio.begin() if work else ""
        with self._progress.stage(f"Painting icons{where}", count, "icons", work=work) as tick:
            for grids in self._grids:
                has_finer = grids is not self._grids[-1]
                of_side = [(grid, paintings[grid]) for grid in grids if has_finer or not self._is_complete(grid)]
                for number in range(max((len(painting.rounds) for _, painting in of_side), default=0)):
                    self._take_or_paint(
                        [
                            (grid, painting)
                            for grid, painting in of_side
                            if number < len(painting.rounds) and self._takes_part(grid, painting)
                        ],
                        number,
                        tick,
                    )
                for grid, painting in of_side:
                    self._mend(grid, painting)
                    if has_finer and len(grid):
                        # As they are stored: so a build that goes on from here gives the same bytes.
                        painting.settle(Grid(grid.layer, grid.side).icons)

    def _is_complete(self, grid: Grid) -> bool:
        return len(grid) == 0 or self._files.has(paths.mended_icons(grid.layer.home, grid.side))

    def _takes_part(self, grid: Grid, painting: Painting) -> bool:
        """A finished grid is taken again, round by round, only for the correction that finer ones have from it."""
        return not self._is_complete(grid) or (painting.corrects and self._holds(grid, painting, all_rounds=True))

    def _holds(self, grid: Grid, painting: Painting, all_rounds: bool = False) -> bool:
        """Whether the rounds that are stored, some or all, are those that are planned."""
        for number, turn in enumerate(painting.rounds):
            path = paths.icons(grid.layer.home, grid.side, number)
            if not self._files.has(path):
                if all_rounds:
                    return False
            elif not np.array_equal(self._files.read_arrays(path, ["rows"])["rows"], turn.rows):
                return False
        return True

    def _paintings(self) -> dict[Grid, Painting]:
        """Each starts from the pictures of the coarser grid of its layer."""
        colour = read_pilot(self._files).colour
        found: dict[Grid, Painting] = {}
        canvases = {
            layer.name: Canvas(layer.name, layer.mean, colour, self._icons, read_expectation(self._files, layer.name))
            for layer in self._layers
        }
        renderers = {name: canvas.renderer(self._network) for name, canvas in canvases.items()}
        threads = max(renderer.threads_of(2) for renderer in renderers.values())
        self._studio = Studio(self._executor, self._network, canvases, threads)
        for column, layer in enumerate(self._layers):
            before = None
            for grids in self._grids:
                grid = grids[column]
                keys = [picture_key(self._seed, layer.name, grid.side, *place) for place in grid.coordinates.tolist()]
                given = (renderers[layer.name], grid.means, layer.mean, self._icons, np.array(keys, np.int64))
                before = found[grid] = Painting(*given, before)
                self._forget_other_rounds(grid, before)
        return found

    def _forget_other_rounds(self, grid: Grid, painting: Painting) -> None:
        """What was painted in other rounds, before a coarser grid was asked for too, is painted anew."""
        if not self._is_complete(grid) and not self._holds(grid, painting):
            self._files.forget(paths.icon_chunks(grid.layer.home, grid.side))

    def _take_or_paint(self, of_side: list[tuple[Grid, Painting]], number: int, tick: Tick) -> None:
        """The same round of some paintings, none of which depends on another of these."""
        asked = []
        for grid, painting in of_side:
            path = paths.icons(grid.layer.home, grid.side, number)
            if self._files.has(path):
                stored = self._files.read_arrays(path, ("encoded", "offsets"))
                channel_count = self._network.preprocessing.channel_count
                painting.take_round(pictures.decode(**stored, channel_count=channel_count))
            else:
                asked.append((grid, painting))
        started = time.monotonic()
        wave = [(painting.renderer, painting.ask_round, len(painting.rounds[number].rows)) for _, painting in asked]
        for place, pixels in self._studio.paint(wave):
            (grid, painting), turn = asked[place], asked[place][1].rounds[number]
            painting.take_round(pixels)
            self._write(grid, paths.icons(grid.layer.home, grid.side, number), turn.rows, pixels)
            new_count = 0 if turn.is_repeat else len(turn.rows)
            # Elsewhere several are painted at once: each counts what the wave took longer for it.
            before, started = started, time.monotonic()
            self._note_seconds(f"{grid.layer.name}/{grid.side}", started - before, new_count)
            tick(new_count, len(turn.rows) * turn.steps)

    def _mend(self, grid: Grid, painting: Painting) -> None:
        if self._is_complete(grid):
            return
        started = time.monotonic()
        rows, pixels = painting.mend(lambda sheet: self._studio.paint_one(painting.renderer, sheet))
        self._write(grid, paths.mended_icons(grid.layer.home, grid.side), rows, pixels)
        self._note_seconds(f"{grid.layer.name}/{grid.side}", time.monotonic() - started, 0)

    def _write(self, grid: Grid, path: str, rows: np.ndarray, pixels: np.ndarray) -> None:
        icons = measure(self._network, grid.layer.name, pixels, grid.means, rows, grid.layer.mean)
        write_icons(self._files, path, rows, icons)

    def _patches(self, layers: list[Layer], rows: np.ndarray) -> list[np.ndarray]:
        """For each layer (n, S, S, channels) uint8, as large as its icons; each photo is read once."""
        found: list[list[Any]] = [[None] * len(rows) for _ in layers]
        for slot, cuts in cut_patches(self._atlas, rows, layers, [layer.icon_px for layer in layers], reduced=True):
            for patches, cut in zip(found, cuts, strict=True):
                patches[slot] = np.asarray(cut).reshape(cut.height, cut.width, -1)
        return [np.stack(patches) for patches in found]

    def _note_seconds(self, key: str, seconds: float, count: int) -> None:
        """Learning is part of what an icon costs, shared by all that were painted."""
        total = self._seconds.setdefault("icon_totals", {}).setdefault(key, [0.0, 0])
        total[0] += seconds
        total[1] += count
        painted = sum(icons for _, icons in self._seconds["icon_totals"].values())
        learning = self._seconds.get("learning", 0.0) / max(painted, 1)
        for name, (spent, icons) in self._seconds["icon_totals"].items():
            self._seconds["icons"][name] = round(spent / max(icons, 1) + learning, 4)


def paint(
    network: Network, layer: Layer, targets: np.ndarray, others: np.ndarray, steps: int, size_px: int, seed: int
) -> Icons:
    """Icons of directions (K, C) of an atlas's layer, with ranks among these and the `others` (M, C).

    Raises PlanChanged for a network with other weights than the atlas's.
    """
    layer.atlas.require_weights(network.spec, network.weights_sha256)
    # As the first round of many is painted: half of the steps from nothing, then again and again, corrected.
    again = steps // 6
    repeats = (again,) * 3 if again else ()
    settings = InversionSettings(size_px=size_px, steps=(steps - sum(repeats),), repeats=repeats)
    files = layer.atlas.files
    expectation, colour = read_expectation(files, layer.name), read_pilot(files).colour
    renderer = Renderer(network, layer.name, layer.mean, colour, settings, expectation)
    keys = np.array([picture_key(seed, layer.name, "direction", i) for i in range(len(targets))], np.int64)
    painting = Painting(renderer, targets, layer.mean, settings, keys, others=others)
    painting.paint_rounds()
    candidates, rows = np.concatenate([targets, others]).astype(np.float32), np.arange(len(targets))
    return measure(network, layer.name, painting.pictures, candidates, rows, layer.mean)


def paint_on(
    network: Network, layer: Layer, targets: np.ndarray, starts: np.ndarray, steps: int, size_px: int, seed: int
) -> Icons:
    """One icon of a direction, the first of the targets (M, C), with its rank among them: the best of several.

    starts: (n, S', S', channels) uint8, pictures that it may begin from, such as the icon that there is and those of
    cells most like it. As many are painted, in one batch, and the one with the highest cosine, its own and shifted, is
    kept: from nothing, with as many steps, it becomes neither as near nor as sharp (benchmarks/RESULTS.md).

    Raises PlanChanged for a network with other weights than the atlas's.
    """
    layer.atlas.require_weights(network.spec, network.weights_sha256)
    settings = InversionSettings(size_px=size_px, steps=(steps,))
    files = layer.atlas.files
    expectation, colour = read_expectation(files, layer.name), read_pilot(files).colour
    renderer = Renderer(network, layer.name, layer.mean, colour, settings, expectation)
    count, no_rows = len(starts), np.zeros(len(starts), np.int64)
    centred = np.repeat(targets[:1] - layer.mean, count, axis=0).astype(np.float32)
    rivals = np.repeat(nearest_directions(directions_of(targets, layer.mean), np.array([0])), count, axis=0)
    keys = np.array([picture_key(seed, layer.name, "on", i) for i in range(count)], np.int64)
    pixels = renderer.paint(centred, keys, steps, starts, rivals, renderer.no_correction)
    found = measure(network, layer.name, pixels, np.asarray(targets, np.float32), no_rows, layer.mean)
    best = [int(np.argmax(found.cosine + found.shifted_cosine))]
    return Icons(found.pixels[best], found.cosine[best], found.rank[best], found.shifted_cosine[best])


def paint_cells(
    network: Network, layer: Layer, cells: Cells, salt: str, progress: Progress, how: Manner = "plain"
) -> Icons:
    """Icons of cells that stand alone, such as a class atlas's.

    salt: what, beside places, their starting pictures depend on; how: as the atlas's own are painted, as its drafts
    would be, or so that each is best named (see `InversionSettings.to_be_named`)
    Raises PlanChanged for a network with other weights than the atlas's.
    """
    plan, files = layer.atlas.plan, layer.atlas.files
    layer.atlas.require_weights(network.spec, network.weights_sha256)
    stored: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plan["settings"]["icons"].items()}
    settings = InversionSettings(**stored)
    settings = {"plain": settings, "draft": settings.as_draft(), "named": settings.to_be_named()}[how]
    expectation, colour = read_expectation(files, layer.name), read_pilot(files).colour
    renderer = Renderer(network, layer.name, layer.mean, colour, settings, expectation)
    keys = [picture_key(salt, layer.name, *place) for place in cells.coordinates.tolist()]
    painting = Painting(renderer, cells.means, layer.mean, settings, np.array(keys, np.int64))
    with progress.stage("Painting icons", len(cells), "icons", work=painting.work) as tick:
        painting.paint_rounds(tick)
        painting.mend()
    return measure(network, layer.name, painting.pictures, cells.means, np.arange(len(cells)), layer.mean)
