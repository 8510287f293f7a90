"""Which stage follows which, and what is already done. Every result is committed before the next stage starts.

Stages know nothing of files; this module knows nothing of how they work.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas import __version__
from actatlas.atlas import ICONS_PER_CHUNK, Atlas, Layer, layer_slug
from actatlas.collect import Collector, CollectSettings, Pilot, Shard, run_pilot
from actatlas.errors import NetworkError, NoImages, PlanChanged, TooFewImages
from actatlas.grid import GridSettings, default_sides, make_cells
from actatlas.inversion import InversionSettings, invert, measure
from actatlas.layout import LayoutSettings, lay_out
from actatlas.networks import Network, folded
from actatlas.progress import Progress
from actatlas.site import write_site
from actatlas.store import FORMAT_VERSION, AtlasFolder, writing
from actatlas.values import ColourStatistics, ImageSource, LayerInfo, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_IMAGES = GridSettings(side=2).min_images
# A change of these may change results in the last bits, so an atlas is continued with the versions it was begun with.
_VERSIONED = ("torch", "numpy", "umap-learn", "pillow")


@dataclass(frozen=True)
class BuildSettings:
    """What is asked of a build, stage by stage.

    layers: names; empty for the network's recommended ones
    grids: sides; empty for those that suit the number of activations
    title: heads the page; empty for one made from the network and the photos
    """

    layers: tuple[str, ...] = ()
    grids: tuple[int, ...] = ()
    collect: CollectSettings = field(default_factory=CollectSettings)
    layout: LayoutSettings = field(default_factory=LayoutSettings)
    icons: InversionSettings = field(default_factory=InversionSettings)
    title: str = ""

    def __post_init__(self) -> None:
        for side in self.grids:
            GridSettings(side=side)  # refuses sides that cannot be


def build(network: Network, source: ImageSource, folder: Path, settings: BuildSettings, progress: Progress) -> Atlas:
    """Photos in, atlas out. Called again with the same arguments it continues where it stopped.

    Everything that can be refused is refused before the folder is touched.
    """
    plan = make_plan(network, source, settings)
    files = AtlasFolder.begin(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder):
        _begin_or_continue(files, plan, network, source, progress)
        run = _Run(network, source, files, settings, progress)
        run.collect()
        run.lay_out()
        run.make_grids()
        run.paint()
        run.write_site()
        files.finish({"plan_sha256": hashlib.sha256(files.read_bytes("plan.json")).hexdigest()})
    return Atlas(AtlasFolder.existing(folder))


def chosen_layers(network: Network, names: Sequence[str]) -> list[LayerInfo]:
    """In forward order. Raises LayerNotFound, or NetworkError if the network has no layer to recommend."""
    wanted = list(dict.fromkeys(names)) or [layer.name for layer in network.layers if layer.recommended]
    if not wanted:
        raise NetworkError(
            f"{network.spec} has no layer to recommend; name one with --layer: actatlas layers {network.spec}"
        )
    infos = {name: network.layer(name) for name in wanted}
    order = {layer.name: i for i, layer in enumerate(network.layers)}
    return sorted(infos.values(), key=lambda info: order.get(info.name, len(order)))


def make_plan(network: Network, source: ImageSource, settings: BuildSettings) -> dict[str, Any]:
    """Everything that changes results, as `plan.json` keeps it."""
    layers = chosen_layers(network, settings.layers)
    listed = len(source.records)
    if listed == 0:
        raise NoImages(f"{source.spec} holds no images; name a folder, a list or a CSV of photos")
    if listed < MIN_IMAGES:
        raise TooFewImages(
            f"{source.spec} holds {listed} image{'s' * (listed > 1)}, an atlas needs at least {MIN_IMAGES}; add photos"
        )
    has_files = all(Path(record.path).is_absolute() for record in source.records)
    return {
        "format_version": FORMAT_VERSION,
        "title": settings.title or f"{network.spec.split(':')[-1]}: {Path(source.spec).name or source.spec}",
        "origin": f"Network {network.spec}, weights sha256 {network.weights_sha256[:12]}. Photos: {source.spec}.",
        "network": {
            "spec": network.spec, "weights_sha256": network.weights_sha256, "class_count": network.class_count,
            "is_fixed_size": network.is_fixed_size, "preprocessing": network.preprocessing.to_json(),
        },
        "layers": [asdict(layer) for layer in layers],
        "images": {
            "spec": source.spec, "has_files": has_files, "listed": listed,
            "columns": list(_own_columns(source).values()), "listing_sha256": _listing_sha256(source),
        },
        "settings": {
            "collect": asdict(settings.collect), "layout": asdict(settings.layout),
            "icons": asdict(settings.icons), "min_images": MIN_IMAGES,
        },
        "icon_px": icon_px(network, settings.icons),
        "versions": {"actatlas": __version__} | {name: importlib.metadata.version(name) for name in _VERSIONED},
    }  # fmt: skip


def icon_px(network: Network, icons: InversionSettings) -> int:
    """Side of the icons: as asked for, but never more than the network's input."""
    return min(icons.size_px, *network.preprocessing.input_px)


def planned_sides(settings: BuildSettings, listed: int) -> list[int]:
    activations = listed * max(settings.collect.crops, 1) * settings.collect.positions
    return sorted(set(settings.grids)) or default_sides(activations)


def summary(atlas: Atlas) -> dict[str, Any]:
    """A finished build as `actatlas build --json` prints it."""
    layers = {}
    for name in atlas.layer_names:
        layer = atlas.layer(name)
        grids = {str(side): _grid_summary(layer, side) for side in layer.grid_sides}
        layers[name] = {
            "activations": layer.activation_count,
            "images": atlas.image_counts["used"],
            "channels": layer.info.shape[0],
            "grids": grids,
        }
    seconds = {stage: round(s, 3) for stage, s in atlas.timings["stages"].items()}
    site = str(atlas.folder / "site" / "index.html")
    return {
        "atlas": str(atlas.folder),
        "site": site,
        "images": atlas.image_counts,
        "seconds": seconds,
        "layers": layers,
    }


def _grid_summary(layer: Layer, side: int) -> dict[str, Any]:
    grid = layer.grid(side)
    return {
        "cells": len(grid),
        "cosine": round(float(np.mean(grid.cosine)), 4) if len(grid) else None,
        "identified": round(float(np.mean(grid.rank == 0)), 4) if len(grid) else None,
        "icon_seconds": grid.icon_seconds,
    }


class _Run:
    """One run of a build: the stages in order, each skipping what is committed."""

    def __init__(
        self, network: Network, source: ImageSource, files: AtlasFolder, settings: BuildSettings, progress: Progress
    ):
        self.network = network
        self.source = source
        self.files = files
        self.settings = settings
        self.progress = progress
        self.atlas = Atlas(files)
        self.layers = self.atlas.layer_names
        self.seconds: dict[str, Any] = {"stages": {}, "icons": {}} | self.atlas.timings

    # --- collect

    def collect(self) -> None:
        with self._timed("collect"):
            pilot = self._pilot()
            collector = Collector(self.network, self.source, self.layers, self.settings.collect, pilot)
            missing = [i for i in range(collector.shard_count) if not self.files.has(_shard_path(i))]
            if missing:
                self._collect_shards(collector, missing)
        self._check_images()

    def _collect_shards(self, collector: Collector, missing: list[int]) -> None:
        self._change()
        left = sum(len(collector.image_ids(index)) for index in missing)
        with self.progress.stage("Collecting activations", left, "images") as tick:
            for index, shard in collector.shards(missing):
                self._write_shard(index, shard)
                tick(len(collector.image_ids(index)))

    def _pilot(self) -> Pilot:
        if self.files.has("pilot.json"):
            return _read_pilot(self.files)
        pilot = run_pilot(self.network, self.source, self.layers, self.settings.collect, self.progress)
        self._change()
        _write_pilot(self.files, pilot)
        return pilot

    def _write_shard(self, index: int, shard: Shard) -> None:
        name = f"{index:05d}.safetensors"
        first = next(iter(shard.activations.values()))
        self.files.write_arrays(
            f"places/{name}",
            {"image_ids": first.image_ids, "positions": first.positions, "boxes": first.boxes},
        )
        for layer, part in shard.activations.items():
            arrays = {"vectors": part.vectors, "attributions": part.attributions}
            self.files.write_arrays(f"layers/{layer_slug(layer)}/activations/{name}", arrays)
        if shard.predictions is not None:
            self.files.write_arrays(f"predictions/{name}", asdict(shard.predictions))
        skipped = {str(i): reason for i, reason in sorted(shard.skipped.items())}
        self.files.write_json(_shard_path(index), {"activations": len(first), "skipped": skipped})

    def _check_images(self) -> None:
        atlas = Atlas(self.files)
        counts = atlas.image_counts
        for image_id, reason in list(atlas.skipped.items())[:3]:
            self.progress.say(f"skipped {self.source.records[image_id].path}: {reason}")
        if counts["skipped"] > 3:
            self.progress.say(f"… and {counts['skipped'] - 3} more; see skipped in the table of images")
        if counts["used"] < MIN_IMAGES:
            reason = next(iter(atlas.skipped.values()), "")
            raise NoImages(
                f"{self.source.spec}: {counts['used']} of {counts['listed']} images could be used ({reason}); "
                f"an atlas needs at least {MIN_IMAGES}; mend or replace them",
                **counts,
            )

    # --- layout and grids

    def lay_out(self) -> None:
        with self._timed("layout"):
            for name in self.layers:
                path = f"layers/{layer_slug(name)}/statistics.safetensors"
                if not self.files.has(path):
                    self._change()
                    self.files.write_arrays(path, {"mean": _mean_vector(Atlas(self.files).layer(name))})
            if all(self.files.has(_layout_path(name)) for name in self.layers):
                return
            self._change()
            atlas = Atlas(self.files)
            vectors = _VectorsByLayer(atlas)
            image_ids = atlas.layer(self.layers[0]).places.image_ids
            layouts = lay_out(vectors, image_ids, self.settings.layout, self.progress)
            for name, layout in layouts.items():
                self.files.write_arrays(_layout_path(name), {"points": layout.points})

    def make_grids(self) -> None:
        with self._timed("grid"):
            atlas = Atlas(self.files)
            self.sides = planned_sides(self.settings, len(self.source.records))
            work = [(n, s) for n in self.layers for s in self.sides if not self.files.has(_cells_path(n, s))]
            if not work:
                return
            self._change()
            with self.progress.stage("Averaging cells", len(work), "grids") as tick:
                for name, side in work:
                    self._make_grid(atlas.layer(name), side)
                    tick(1)
        if not any(len(Atlas(self.files).layer(n).grid(s)) for n in self.layers for s in self.sides):
            raise TooFewImages(
                f"no cell of the {self.sides[0]} × {self.sides[0]} grid holds {MIN_IMAGES} photos; "
                "choose a smaller --grid, or add photos, crops or positions"
            )

    def _make_grid(self, layer: Layer, side: int) -> None:
        settings = GridSettings(side=side)
        with_attributions = layer.attribution_method is not None and self.network.class_count is not None
        cells = make_cells(Layout(layer.layout), lambda: layer.read_shards(with_attributions), layer.mean, settings)
        arrays = {name: value for name, value in vars(cells).items() if isinstance(value, np.ndarray)}
        arrays["lost"] = np.array([cells.dropped_count, cells.cut_count], np.int64)
        self.files.write_arrays(_cells_path(layer.name, side), arrays)

    # --- icons

    def paint(self) -> None:
        work = [(s, n, c) for s in self.sides for n in self.layers for c in self._missing_chunks(n, s)]
        with self._timed("icons"):
            if not work:
                return
            self._change()
            self._write_page()  # to look at while the icons are painted
            atlas, painted = Atlas(self.files), folded(self.network, self.layers)
            sizes = [len(_chunk_rows(atlas.layer(n).grid(s), c)) for s, n, c in work]
            with self.progress.stage("Painting icons", sum(sizes), "icons") as tick:
                for (side, name, chunk), size in zip(work, sizes, strict=True):
                    started = time.monotonic()
                    self._paint_chunk(painted, atlas.layer(name), side, chunk)
                    self._note_icons(f"{name}/{side}", time.monotonic() - started, size)
                    tick(size)

    def _missing_chunks(self, name: str, side: int) -> list[int]:
        count = -(-len(Atlas(self.files).layer(name).grid(side)) // ICONS_PER_CHUNK)
        return [c for c in range(count) if not self.files.has(_icons_path(name, side, c))]

    def _paint_chunk(self, painted: Network, layer: Layer, side: int, chunk: int) -> None:
        """painted: the network, folded once for all chunks; figures are those of the network itself."""
        grid, colour = layer.grid(side), _read_pilot(self.files).colour
        rows = _chunk_rows(grid, chunk)
        keys = [_key(self.settings.collect.seed, layer.name, side, *grid.coordinates[k].tolist()) for k in rows]
        pixels = invert(
            painted, layer.name, grid.means[rows], layer.mean, colour, self.settings.icons, np.array(keys)
        )
        icons = measure(self.network, layer.name, pixels, grid.means, rows, layer.mean)
        encoded, offsets = encode_icons(icons.pixels)
        self.files.write_arrays(
            _icons_path(layer.name, side, chunk),
            {
                "encoded": encoded, "offsets": offsets, "cosine": icons.cosine,
                "rank": icons.rank, "shifted_cosine": icons.shifted_cosine,
            },
        )  # fmt: skip

    def _note_icons(self, key: str, seconds: float, count: int) -> None:
        total = self.seconds.setdefault("icon_totals", {}).setdefault(key, [0.0, 0])
        total[0] += seconds
        total[1] += count
        self.seconds["icons"][key] = round(total[0] / total[1], 4)

    # --- site

    def write_site(self) -> None:
        with self._timed("site"):
            if self.files.has("site/index.html") and self.files.is_finished:
                return
            self._write_page()

    # --- inside

    def _write_page(self) -> None:
        root = self.files.root

        def write(path: Path, data: bytes) -> None:
            self.files.write(path.relative_to(root).as_posix(), data)

        def has(path: Path) -> bool:
            return self.files.has(path.relative_to(root).as_posix())

        write_site(Atlas(self.files), root / "site", write, self.progress, has)

    def _change(self) -> None:
        """Before anything is written: the atlas is no longer finished, and its site no longer shows all of it."""
        if self.files.is_finished:
            self.files.reopen()

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        before = len(self.files.committed())
        try:
            yield
        finally:
            stages = self.seconds["stages"]
            stages[stage] = stages.get(stage, 0.0) + time.monotonic() - started
            if len(self.files.committed()) != before or not self.files.is_finished:
                self.files.write_uncounted("timings.json", self.seconds)


class _VectorsByLayer(dict):
    """{layer: vectors (N, C) float16}, each read when it is asked for, so that one layer is in memory at a time."""

    def __init__(self, atlas: Atlas):
        super().__init__({name: None for name in atlas.layer_names})
        self._atlas = atlas

    def __getitem__(self, name: str) -> np.ndarray:
        return np.concatenate([part.vectors for part in self._atlas.layer(name).read_shards()])

    def items(self):
        return ((name, self[name]) for name in self)

    def values(self):
        return (self[name] for name in self)


def encode_icons(pixels: np.ndarray, quality: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(K, S, S, 3) uint8 → WebP files end to end, uint8, and where each starts, (K + 1,) int64.

    Lossless unless `quality` is given.
    """
    parts = []
    for picture in pixels:
        buffer = io.BytesIO()
        options = {"lossless": True, "method": 2} if quality is None else {"quality": quality, "method": 6}
        Image.fromarray(picture).save(buffer, "WEBP", **options)
        parts.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return np.frombuffer(b"".join(parts), np.uint8), offsets


# What has to be made anew when this part of the plan is another: which committed files it stands in.
_REDONE: dict[str, Callable[[str], bool]] = {
    "settings.layout": lambda path: (
        path.endswith("/layout.safetensors") or "/grids/" in path or path.startswith("site/")
    ),
    "settings.icons": lambda path: "/icons/" in path or path.startswith("site/"),
    "icon_px": lambda path: "/icons/" in path or path.startswith("site/"),
}


def _begin_or_continue(
    files: AtlasFolder, plan: dict[str, Any], network: Network, source: ImageSource, progress: Progress
) -> None:
    """Write the plan, labels and listing of a new atlas, or go on with one that was begun.

    Other layout or icon settings redo those stages and keep the activations. Raises PlanChanged for other differences.
    """
    if files.has("plan.json"):
        differing = _differences(files.read_json("plan.json"), _as_read(plan))
        redone = [part for part in _REDONE if any(name.startswith(part) for name in differing)]
        if redone and all(name.startswith(tuple(redone)) for name in differing):
            progress.say(f"{files.root} was begun with other {', '.join(differing)}: what depends on it is made anew")
            files.reopen()
            for path in files.committed():
                if any(_REDONE[part](path) for part in redone):
                    files.forget(path)
            files.write_json("plan.json", plan)
            differing = []
        if differing:
            raise PlanChanged(
                f"{files.root} was begun with another {', '.join(differing)}; choose another --out, or the same",
                differing=differing,
            )
    else:
        files.write_json("plan.json", plan)
    if not files.has("images.csv"):
        files.write("images.csv", _images_csv(source))
    if not files.has("labels.json"):
        files.write_json("labels.json", network.labels)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    ignored = {"title", "origin"}
    names = []
    for key in sorted((set(old) | set(new)) - ignored):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key}")
    return names


def _as_read(plan: dict[str, Any]) -> dict[str, Any]:
    import json

    return json.loads(json.dumps(plan))


def _images_csv(source: ImageSource) -> bytes:
    columns: dict[str, list[Any]] = {"id": [], "path": []} | {stored: [] for stored in _own_columns(source).values()}
    for record in source.records:
        columns["id"].append(record.id)
        columns["path"].append(record.path)
        for name, stored in _own_columns(source).items():
            columns[stored].append(record.columns.get(name, ""))
    return pd.DataFrame(columns).to_csv(index=False, lineterminator="\n").encode("utf-8", "surrogateescape")


def _own_columns(source: ImageSource) -> dict[str, str]:
    """The list's columns, and their names in the table of images, where id, path and skipped are taken."""
    return {name: f"list_{name}" if name in ("id", "path", "skipped") else name for name in source.column_names}


def _listing_sha256(source: ImageSource) -> str:
    """Of paths, sizes and columns: another list, or a replaced file, is another collection."""
    digest = hashlib.sha256()
    for record in source.records:
        path = Path(record.path)
        size = path.stat().st_size if path.is_absolute() and path.is_file() else -1
        digest.update(repr((record.path, size, sorted(record.columns.items()))).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _mean_vector(layer: Layer) -> np.ndarray:
    total, count = 0.0, 0
    for part in layer.read_shards():
        total = total + part.vectors.sum(axis=0, dtype=np.float64)
        count += len(part)
    return np.asarray(total / count, np.float32)


def _write_pilot(files: AtlasFolder, pilot: Pilot) -> None:
    arrays = {f"baseline/{name}": baseline for name, baseline in pilot.baselines.items()}
    arrays |= {"colour_mean": pilot.colour.mean, "colour_covariance": pilot.colour.covariance}
    files.write_arrays("pilot.safetensors", arrays)
    files.write_json(
        "pilot.json",
        {
            "precision": pilot.precision, "agreement": pilot.agreement, "patch_px": pilot.patch_px,
            "map_sizes": {name: list(size) for name, size in pilot.map_sizes.items()},
        },
    )  # fmt: skip


def _read_pilot(files: AtlasFolder) -> Pilot:
    stored, arrays = files.read_json("pilot.json"), files.read_arrays("pilot.safetensors")
    return Pilot(
        precision=stored["precision"], agreement=stored["agreement"], patch_px=stored["patch_px"],
        map_sizes={name: tuple(size) for name, size in stored["map_sizes"].items()},
        baselines={k.removeprefix("baseline/"): v for k, v in arrays.items() if k.startswith("baseline/")},
        colour=ColourStatistics(mean=arrays["colour_mean"], covariance=arrays["colour_covariance"]),
    )  # fmt: skip


def _key(*parts: object) -> int:
    """A 63-bit seed from what a picture is of, so that it depends on nothing else."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def _chunk_rows(grid: Any, chunk: int) -> np.ndarray:
    return np.arange(chunk * ICONS_PER_CHUNK, min((chunk + 1) * ICONS_PER_CHUNK, len(grid)))


def _shard_path(index: int) -> str:
    return f"shards/{index:05d}.json"


def _layout_path(layer: str) -> str:
    return f"layers/{layer_slug(layer)}/layout.safetensors"


def _cells_path(layer: str, side: int) -> str:
    return f"layers/{layer_slug(layer)}/grids/{side}/cells.safetensors"


def _icons_path(layer: str, side: int, chunk: int) -> str:
    return f"layers/{layer_slug(layer)}/grids/{side}/icons/{chunk:05d}.safetensors"
