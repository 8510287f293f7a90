"""Collecting many crops: images a second and peak memory for ten thousand and a hundred thousand, beside a plain loop.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/collecting_scale.py [--sizes 10000 100000] [--crops 125] [--layers ...]

Row A of benchmarks/collecting.py: vectors only. Each photo gives as many random crops as --crops says, so that a size
needs size / crops photos. A size has a process of its own, whose peak memory is its whole life's, pilot included. The
plain loop takes each photo once, in the better of its two batch sizes, in a process of its own before each size and
after the last; a ratio is to the mean of the two loops around it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from actatlas.collect import CollectSettings, run_pilot
from actatlas.images import open_source
from actatlas.networks import load_network
from actatlas.progress import Silent
from collecting import LAYER_SETS, LOOP_BATCHES, collect_ours, collect_plainly

LOOP_PHOTOS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder of JPEGs ($ACTATLAS_PHOTOS)"
    )
    parser.add_argument("--network", default="packaged:efficientnet-lite0")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="crops")
    parser.add_argument("--crops", type=int, default=125, help="of each photo")
    parser.add_argument("--layers", choices=LAYER_SETS, default="one layer")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    paths = [record.path for record in open_source(options.photos).records]
    if len(paths) * options.crops < max(options.sizes):
        sys.exit(f"{len(paths)} photos give {len(paths) * options.crops:,} crops; raise --crops or lower --sizes")
    figures = measure(options, paths)
    print(as_markdown(figures))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")


def measure(options: argparse.Namespace, paths: list[str]) -> dict:
    layers = LAYER_SETS[options.layers]
    loops = [apart(loop_images_per_s, options.network, paths[:LOOP_PHOTOS], layers)]
    rows = []
    for size in options.sizes:
        photos = paths[: size // options.crops]
        rows.append(
            {"crops": len(photos) * options.crops} | apart(ours, options.network, photos, layers, options.crops)
        )
        loops.append(apart(loop_images_per_s, options.network, paths[:LOOP_PHOTOS], layers))
        rows[-1]["loop_images_per_s"] = round(sum(loops[-2:]) / 2, 1)
        rows[-1]["ratio"] = round(rows[-1]["images_per_s"] / rows[-1]["loop_images_per_s"], 2)
        print(rows[-1], file=sys.stderr)
    return {
        "network": options.network, "layers": layers, "crops_per_photo": options.crops, "cores": os.cpu_count(),
        "machine": platform.machine(), "loops": [round(rate, 1) for rate in loops], "rows": rows,
    }  # fmt: skip


def apart(function, *arguments):
    """In a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def ours(spec: str, photos: list[str], layers: list[str], crops: int) -> dict:
    network, source = load_network(spec), open_source(photos)
    wanted = {"crops": crops, "attribution": None, "predictions": False}
    pilot = run_pilot(network, source, layers, CollectSettings(**wanted), Silent())
    images_per_s = crops * collect_ours(network, source, layers, pilot, wanted)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    return {
        "images_per_s": round(images_per_s, 1), "seconds": round(len(photos) * crops / images_per_s, 1),
        "peak_gib": round(peak, 2), "precision": pilot.precision,
    }  # fmt: skip


def loop_images_per_s(spec: str, photos: list[str], layers: list[str]) -> float:
    multiprocessing.set_start_method("fork", force=True)  # the loop's workers, as they start in a process of one's own
    network, source = load_network(spec), open_source(photos)
    return max(collect_plainly(network, source, layers, batch_size) for batch_size in LOOP_BATCHES)


def as_markdown(figures: dict) -> str:
    lines = [
        f"{figures['network']}, {', '.join(figures['layers'])}, {figures['crops_per_photo']} crops of each photo, "
        f"{figures['cores']} cores; plain loops {figures['loops']} images/s.",
        "",
        "| crops | precision | s | images/s | plain loop, images/s | ratio | peak memory, GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join(
        lines
        + [
            f"| {row['crops']:,} | {row['precision']} | {row['seconds']} | {row['images_per_s']} "
            f"| {row['loop_images_per_s']} | {row['ratio']}× | {row['peak_gib']} |"
            for row in figures["rows"]
        ]
    )


if __name__ == "__main__":
    main()
