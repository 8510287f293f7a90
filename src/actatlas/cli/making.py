"""Commands that make an atlas, and those that newcomers begin with."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.cli.shared import SPEC_HELP, examples_option, grid_side, open_option, open_page, say
from actatlas.errors import UsageError
from actatlas.progress import StderrProgress, duration

if TYPE_CHECKING:
    from actatlas.atlas import Atlas
    from actatlas.executors import Executor

_SMALL_SIDE = 6  # a grid below it is a handful of pictures

# --- demo


def demo_options(command: argparse.ArgumentParser) -> None:
    open_option(command)


def demo(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.demo import shipped_atlas

    atlas = shipped_atlas()
    page = atlas.folder / "site" / "index.html"
    opened = open_page(page, options)
    say(options, f"{atlas.title}\n{atlas.origin}")
    say(options, f"{'Opened' if opened else 'Open'} {page}")
    return {"atlas": str(atlas.folder), "site": str(page), "opened": opened}


# --- layers


def layers_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("spec", metavar="SPEC", help=SPEC_HELP)


def layers(options: argparse.Namespace) -> dict[str, Any]:
    StderrProgress().say(f"Loading {options.spec}")
    from actatlas.api import load_network

    network = load_network(options.spec)
    rows: list[dict[str, Any]] = [
        {
            "name": layer.name, "type": layer.type, "shape": list(layer.shape), "stride": layer.stride,
            "receptive_field_px": layer.receptive_field_px, "recommended": layer.recommended,
        }
        for layer in network.layers
    ]  # fmt: skip
    width, of_type = (max((len(row[key]) for row in rows), default=5) for key in ("name", "type"))
    say(options, f"  {'layer':{width}}  {'type':{of_type}}  {'shape':>15}  {'stride':>6}  {'field px':>8}")
    for row in rows:
        name, shape = row["name"], " × ".join(map(str, row["shape"]))
        star = "★" if row["recommended"] else " "
        numbers = f"{shape:>15}  {row['stride']:6}  {row['receptive_field_px']:8}"
        say(options, f"{star} {name:{width}}  {row['type']:{of_type}}  {numbers}")
    say(options, "★ recommended: after a non-linearity, spread over the depth")
    say(options, "  shape: channels × height × width; field: how much of the input one place can see at most")
    return {"spec": network.spec, "layers": rows}


# --- build


def build_options(command: argparse.ArgumentParser) -> None:
    from actatlas.values import ATTRIBUTION_METHODS

    command.add_argument(
        "images", metavar="IMAGES", nargs="?",
        help="a folder, a .txt list, a .csv with a column path, packaged:demo, .parquet or webdataset .tar files or a "
        "folder of them, wds:PATTERN, parquet:PATTERN, hf-dataset:NAME, s3://… (docs/photos.md); with --vectors FILE "
        "may name them",
    )  # fmt: skip
    command.add_argument("--out", required=True, metavar="DIR", type=Path, help="the atlas folder")
    command.add_argument("--model", default=None, metavar="SPEC", help=SPEC_HELP)
    command.add_argument(
        "--layer", action="append", default=[], metavar="NAME", help="repeatable; default: the recommended layers"
    )
    command.add_argument(
        "--grid", action="append", default=[], type=grid_side, metavar="G",
        help="cells along an edge, 2 to 320; repeatable; default: by the number of activations",
    )  # fmt: skip
    command.add_argument(
        "--add", action="store_true",
        help="photos and layers that the atlas in DIR does not have are added to it; its activations stay, and where "
        "only layers are added, its maps and icons too (docs/adding.md)",
    )  # fmt: skip
    command.add_argument(
        "--crops", type=int, default=0, metavar="K", help="random crops a photo; default: the photo once, whole"
    )
    command.add_argument("--positions", type=int, default=1, metavar="K", help="activations a crop; default 1")
    command.add_argument(
        "--attribution", choices=[*ATTRIBUTION_METHODS, "none"], default="patch-replacement",
        help="how an activation's effect on each class is estimated; default patch-replacement. Above 100,000 "
        "activations a layer it is estimated of 16 photos in each cell",
    )  # fmt: skip
    command.add_argument(
        "--precision", choices=["auto", "float32"], default="auto",
        help="auto: half precision where it is faster and agrees to 0.999",
    )  # fmt: skip
    command.add_argument("--no-align", action="store_true", help="lay each layer out on its own")
    command.add_argument(
        "--layout", metavar="NAME",
        help="landmarks (the default: UMAP of landmarks, refined with all), umap (of all), tsne, torchdr or cuml (UMAP "
        "on a GPU), or a plug-in's",
    )  # fmt: skip
    command.add_argument("--icon-px", type=int, metavar="PX", help="side of an icon, 8 to 512 input pixels; default 80")
    command.add_argument(
        "--isolate-decoding", action="store_true",
        help="decode photos in processes of their own, under limits: one that kills or stalls its decoder is skipped. "
        "For photos by strangers; costs about a twentieth of collecting",
    )  # fmt: skip
    command.add_argument("--draft", action="store_true", help="paint icons in less than half of the time, less well")
    command.add_argument(
        "--device", default="auto", metavar="NAME", help="cpu, cuda or mps; default: a GPU where there is one"
    )
    command.add_argument(
        "--executor", choices=["in-process", "ray"], default="in-process",
        help="where photos are collected and icons painted: in this process, or on the workers of a Ray cluster; the "
        "atlas is the same, bit for bit (docs/cluster.md)",
    )  # fmt: skip
    command.add_argument(
        "--address", metavar="ADDRESS",
        help="with --executor ray: the cluster, auto or HOST:PORT; default: one of its own on this machine",
    )  # fmt: skip
    command.add_argument(
        "--workers", type=int, metavar="N", help="with --executor ray: how many; default: as many as there is room for"
    )
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random; default 0")
    command.add_argument("--title", default="", help="heads the page")
    examples_option(command, "patches")
    command.add_argument(
        "--vectors", metavar="FILE",
        help="vectors of your own (.parquet, .npz, .npy, .safetensors, .csv) in place of a network's; vectors.md says "
        "what it may hold. Icons are painted where --model and one --layer name what gave them; else cells show photos",
    )  # fmt: skip
    command.add_argument(
        "--layout-points",
        metavar="FILE",
        help="with --vectors: x and y of each, in place of UMAP; like kinds of file",
    )
    command.add_argument(
        "--regions", default="", metavar="COLUMN",
        help="with --vectors: the column that names the map's parts; default: cluster or label, where there is one",
    )  # fmt: skip
    command.add_argument(
        "--dry-run", action="store_true", help="say images, layers, time, disk and memory; build nothing"
    )
    open_option(command)


def build(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import api
    from actatlas.working import need_torch

    need_torch()
    executor = _executor(options)
    if options.vectors is not None:
        return _build_from_vectors(options, executor)
    if options.layout_points is not None or options.regions:
        name = "--regions" if options.layout_points is None else "--layout-points"
        raise UsageError(f"{name} goes with --vectors: a network's activations are laid out as they are collected")
    if options.images is None:
        raise UsageError("build needs IMAGES: a folder, a list, a .csv, or packaged:demo; see actatlas build --help")
    from actatlas import rerun
    from actatlas.images import open_source
    from actatlas.site import own_examples

    source, out = open_source(options.images), options.out.expanduser().resolve()
    spec = options.model or api.DEFAULT_NETWORK
    asked = rerun.asked_of(spec, _what_matters(options), source)
    if not options.dry_run and rerun.is_finished_as(out, asked):
        finished = api.open(out)
        if options.examples in (None, own_examples(finished)):
            return _told(options, finished)
    from actatlas import pipeline

    progress = StderrProgress()
    progress.say(f"{len(source.records):,} photos listed; loading {spec}")
    network = api.load_network(spec, device=options.device)
    attribution = None if options.attribution == "none" else options.attribution
    collect = api.collect_settings(options.crops, options.positions, attribution, options.precision, options.seed)
    icons = api.icon_settings(options.icon_px, options.draft)
    layout = api.layout_settings(options.layout, not options.no_align, options.seed)
    settings = api.build_settings(options.layer, options.grid, collect, layout, icons)
    settings = replace(
        settings, title=options.title, examples=options.examples, isolate_decoding=options.isolate_decoding
    )
    if options.dry_run:
        return _dry_run(options, network, source, settings, progress)
    atlas = pipeline.build(network, source, out, settings, progress, executor, add=options.add)
    rerun.note(out, asked)
    return _told(options, atlas)


def _executor(options: argparse.Namespace) -> Executor | None:
    """Refused before anything is loaded. Raises UsageError, MissingExtra."""
    if options.executor == "in-process":
        for name, value in (("--address", options.address), ("--workers", options.workers)):
            if value is not None:
                raise UsageError(f"{name} goes with --executor ray")
        return None
    from actatlas.executors import Ray

    return Ray(options.address, options.workers)


def _what_matters(options: argparse.Namespace) -> dict[str, Any]:
    """The options, beside the photos, that another atlas would be made by."""
    names = (
        "layer", "grid", "crops", "positions", "attribution", "precision", "no_align", "layout", "icon_px", "draft",
        "seed", "title",
    )  # fmt: skip
    return {name: getattr(options, name) for name in names}


def _told(options: argparse.Namespace, atlas: Atlas) -> dict[str, Any]:
    """A finished build: its page opened where there is a screen, and what it holds said."""
    from actatlas.summary import summary

    result = summary(atlas)
    page = Path(result["site"])
    opened = open_page(page, options)
    images = result["images"]
    skipped = f", {images['skipped']} of {images['listed']} skipped" if images["skipped"] else ""
    say(options, f"{result['atlas']}: {images['used']} photos{skipped}")
    for name, layer in result["layers"].items():
        grids = ", ".join(f"{side} × {side}: {grid['cells']} cells" for side, grid in layer["grids"].items())
        say(options, f"  {name}: {layer['activations']:,} activations; {grids}")
    finest = atlas.layer(atlas.layer_names[-1]).grid_sides[-1]
    if options.vectors is None and not options.grid and finest < _SMALL_SIDE:
        say(options, "Few activations, few cells: more photos give more, or --crops 4 --positions 4 with another --out")
    say(options, f"{'Opened' if opened else 'Open'} {page}")
    return result


def _build_from_vectors(options: argparse.Namespace, executor: Executor | None) -> dict[str, Any]:
    from actatlas import api

    for name, is_given in (
        ("--crops", options.crops), ("--positions", options.positions != 1), ("--dry-run", options.dry_run),
        ("--isolate-decoding", options.isolate_decoding), ("--add", options.add), ("--layout beside --layout-points",
        options.layout is not None and options.layout_points is not None),
        ("--attribution", options.attribution not in ("patch-replacement", "none")),
        ("--layer more than once", len(options.layer) > 1),
    ):  # fmt: skip
        if is_given:
            raise UsageError(f"{name} does not go with --vectors: these are taken as they are")
    layout = options.layout_points or options.layout
    atlas = api.build_from_vectors(
        options.vectors, options.images, out=options.out, layout=layout, regions=options.regions,
        model=options.model, layer=next(iter(options.layer), ""), grids=options.grid, icon_px=options.icon_px,
        draft=options.draft, device=options.device, seed=options.seed, title=options.title, examples=options.examples,
        executor=executor,
    )  # fmt: skip
    return _told(options, atlas)


def _dry_run(options: argparse.Namespace, network: Any, source: Any, settings: Any, progress: Any) -> dict[str, Any]:
    from actatlas import adding, estimate, planning

    found = adding.grown(options.out.expanduser().resolve(), network, source, settings, options.add)
    if found is not None:
        source, settings = found.source, found.settings
    plan = planning.make_plan(network, source, settings)
    expected = estimate.expected(network, source, settings, plan, progress)
    if found is not None:  # the rest was collected
        expected["seconds"]["collect"] *= sum(each.last - each.first for each in found.new) / len(source.records)
    say(options, f"{expected['images']:,} images, {expected['activations']:,} activations a layer")
    say(options, f"layers: {', '.join(expected['layers'])}; grids: {', '.join(map(str, expected['grids']))}")
    stages = ", ".join(f"{stage} {duration(s)}" for stage, s in expected["seconds"].items())
    say(options, f"time about {duration(sum(expected['seconds'].values()))} ({stages})")
    disk, memory = expected["disk_bytes"] / 1e6, expected["memory_bytes"] / 1e9
    say(options, f"disk about {disk:,.0f} MB, memory about {memory:.1f} GB")
    return expected
