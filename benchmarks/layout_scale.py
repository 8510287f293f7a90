"""Layouts of up to a million activations, against umap-learn: seconds, and how much of the order is kept.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/layout_scale.py [--sizes 10000 100000 1000000] [--seeded] [--json FILE]
    python benchmarks/layout_scale.py --layout torchdr       beside them, other layouts that actatlas has
    python benchmarks/layout_scale.py --vectors FOLDER       vectors.npy (N, C) and image_ids.npy (N,), kept from before

Activations: blocks.11.expanded of the packaged network (672 channels), 50 crops a photo and 25 positions a crop; of
them a random part of each size. Both sides lay out the same vectors by the same rule: 20 neighbours by cosine, none
of them of the activation's own photo, `min_dist` 0.01.

*umap-learn*: its own search (pynndescent) cannot leave out photos, so it is given a metric that puts those of one photo
far apart; then `umap.UMAP(precomputed_knn=…).fit`, unseeded, with all threads; with --seeded once more with a seed.

*Gain*: cohesion less that of the same places dealt out to the activations at random. Cohesion is the mean cosine of
activations to their cell's mean, both less the layer's mean, on grids of 20, 40 and 80, after the same cut at the
percentiles and the same spreading. *Recall*: how many of an activation's 20 nearest of other photos (exact, of 1,000
activations) are among its 100 nearest on the map. *Memory*: the peak of the process that does layout and grids.

Each way runs in a process of its own, after a small one that compiles it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

LAYER, CROPS, POSITIONS, CHANNELS = "blocks.11.expanded", 50, 25, 672
NEIGHBORS, MIN_DIST, ON_MAP, ASKED = 20, 0.01, 100, 1_000
SIDES = (20, 40, 80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"))
    parser.add_argument("--vectors", metavar="FOLDER", default="build/layout-scale")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--only", nargs="+", default=[], help="ways whose names hold one of these words")
    parser.add_argument("--seeded", action="store_true", help="umap-learn once more, with a seed and so one thread")
    parser.add_argument("--layout", nargs="+", default=[], help="others of actatlas: umap, torchdr, cuml")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    folder = Path(options.vectors)
    if not (folder / "image_ids.npy").exists():
        if not options.photos:
            sys.exit("no vectors: set ACTATLAS_PHOTOS, or give --photos FOLDER")
        collect(options.photos, folder)
    rows = []
    for size in options.sizes:
        rows += measured(folder, size, options)
    print(as_markdown(rows))
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))


def collect(photos: str, folder: Path) -> None:
    from actatlas.collect import Collector, CollectSettings, run_pilot
    from actatlas.images import open_source
    from actatlas.networks import load_network
    from actatlas.progress import StderrProgress

    network, source, progress = load_network("packaged:efficientnet-lite0"), open_source(photos), StderrProgress()
    settings = CollectSettings(crops=CROPS, positions=POSITIONS, attribution=None, predictions=False, shard_images=16)
    collector = Collector(network, source, [LAYER], settings, run_pilot(network, source, [LAYER], settings, progress))
    folder.mkdir(parents=True, exist_ok=True)
    total = len(source.records) * CROPS * POSITIONS
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (total, CHANNELS))
    image_ids, done = [], 0
    with progress.stage("Collecting activations", len(source.records), "images") as tick:
        for _, shard in collector.shards(on_photos=tick):
            part = shard.activations[LAYER]
            vectors[done : done + len(part)] = part.vectors
            image_ids.append(part.image_ids)
            done += len(part)
    vectors.flush()
    np.save(folder / "image_ids.npy", np.concatenate(image_ids))


def a_part(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, C) float16 and (size,): drawn at random, in the collection's order."""
    image_ids = np.load(folder / "image_ids.npy")
    rows = np.sort(np.random.default_rng(0).choice(len(image_ids), min(size, len(image_ids)), replace=False))
    return np.load(folder / "vectors.npy", mmap_mode="r")[rows], image_ids[rows]


# --- the ways


def ours(vectors: np.ndarray, image_ids: np.ndarray, seed: int | None, method: str | None = None) -> np.ndarray:
    from actatlas.layout import LayoutSettings, lay_out
    from actatlas.progress import Silent

    settings = LayoutSettings(neighbors=NEIGHBORS, min_dist=MIN_DIST, align=False, seed=seed or 0, method=method)
    return lay_out({LAYER: vectors}, image_ids, settings, Silent())[LAYER].points


def umap_learn(vectors: np.ndarray, image_ids: np.ndarray, seed: int | None) -> np.ndarray:
    import pynndescent
    import umap

    from actatlas.layout.flow import framed
    from actatlas.layout.spreading import spread_out

    metric = _other_photos_cosine()
    unit = vectors.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    _, photo = np.unique(image_ids, return_inverse=True)
    told = np.hstack([unit, photo[:, None].astype(np.float32) * np.float32(1e-6)])
    index = pynndescent.NNDescent(
        told, metric=metric, n_neighbors=NEIGHBORS + 1, random_state=seed, n_jobs=-1 if seed is None else 1,
        low_memory=True,
    )  # fmt: skip
    found, distances = (part.copy() for part in index.neighbor_graph)
    own = np.arange(len(unit))
    is_own = found == own[:, None]
    distances[is_own] = -1.0  # first, as umap-learn expects; where the search has lost it, in the last one's place
    lost = ~is_own.any(axis=1)
    found[lost, -1], distances[lost, -1] = own[lost], -1.0
    order = np.argsort(distances, axis=1, kind="stable")
    found, distances = (np.take_along_axis(part, order, axis=1) for part in (found, distances))
    del told, index  # a million take all the memory that there is
    print(f"  umap-learn's neighbours after {time.monotonic() - started:.0f} s", file=sys.stderr)
    points = umap.UMAP(
        n_neighbors=NEIGHBORS + 1, min_dist=MIN_DIST, metric="cosine", random_state=seed,
        precomputed_knn=(found, np.maximum(distances, 0).astype(np.float32)),
    ).fit_transform(unit)  # fmt: skip
    return framed(spread_out(points.astype(np.float64)), 1.0, 0.1).points


def _other_photos_cosine() -> Any:
    import numba

    @numba.njit(fastmath=True)
    def metric(x, y):
        last = x.shape[0] - 1
        if abs(x[last] - y[last]) < 5e-7:
            return np.float32(2.0)
        total = np.float32(0.0)
        for i in range(last):
            total += x[i] * y[i]
        return max(np.float32(1.0) - total, np.float32(0.0))

    return metric


OTHER = "actatlas --layout "
WAYS = {"actatlas": (ours, 0), "umap-learn": (umap_learn, None), "umap-learn, seeded": (umap_learn, 0)}
started = time.monotonic()


def in_a_process(way: str, folder: Path, size: int, sender: Any) -> None:
    global started
    method, seed = WAYS[way] if way in WAYS else (partial(ours, method=way.removeprefix(OTHER)), 0)
    small, small_ids = a_part(folder, 5_000 if way != "actatlas" else 60_000)
    method(small, small_ids, seed)
    vectors, image_ids = a_part(folder, size)
    started, cpu = time.monotonic(), time.process_time()
    points = method(vectors, image_ids, seed)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    gains(points, vectors)
    sender.send((points, seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def measured(folder: Path, size: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows, context = [], multiprocessing.get_context("spawn")
    vectors, image_ids = a_part(folder, size)
    asked = np.random.default_rng(1).choice(len(vectors), min(ASKED, len(vectors)), replace=False)
    nearest = exact_neighbours(vectors, image_ids, asked)
    for way in [*WAYS, *(OTHER + name for name in options.layout)]:
        if (way.endswith("seeded") and not options.seeded) or not any(w in way for w in options.only or [way]):
            continue
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=in_a_process, args=(way, folder, size, sender))
        process.start()
        sender.close()
        points, seconds, cpu_seconds, peak = receiver.recv()
        process.join()
        row = {"way": way, "activations": len(vectors), "seconds": round(seconds, 1), "cpu": round(cpu_seconds, 1),
               "peak_gib": round(peak / 2**30, 2), "gain": [round(g, 4) for g in gains(points, vectors)],
               "recall": round(recall(points, asked, nearest), 4)}  # fmt: skip
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    return rows


# --- what is kept


def exact_neighbours(vectors: np.ndarray, image_ids: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(asked, 20): rows of other photos, by all pairs."""
    near = unit(vectors[asked])
    rows, best = np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0), np.float32)
    for start in range(0, len(vectors), 50_000):
        cosines = near @ unit(vectors[start : start + 50_000]).T
        cosines[image_ids[asked][:, None] == image_ids[None, start : start + 50_000]] = -np.inf
        here = np.argpartition(-cosines, NEIGHBORS, axis=1)[:, :NEIGHBORS]
        rows, best = np.hstack([rows, here + start]), np.hstack([best, np.take_along_axis(cosines, here, axis=1)])
        kept = np.argsort(-best, axis=1)[:, :NEIGHBORS]
        rows, best = np.take_along_axis(rows, kept, axis=1), np.take_along_axis(best, kept, axis=1)
    return rows


def recall(points: np.ndarray, asked: np.ndarray, nearest: np.ndarray) -> float:
    from sklearn.neighbors import KDTree

    placed = np.where(np.isnan(points), -9.0, points)  # what the cut left out is far from all that is on the map
    near = KDTree(placed).query(placed[asked], ON_MAP + 1, return_distance=False)
    return float(np.mean([len(np.intersect1d(a, b)) / NEIGHBORS for a, b in zip(near, nearest, strict=True)]))


def gains(points: np.ndarray, vectors: np.ndarray) -> list[float]:
    on_map = np.flatnonzero(~np.isnan(points).any(axis=1))
    dealt = points.copy()
    dealt[on_map] = points[np.random.default_rng(2).permutation(on_map)]
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return [cohesion(points, vectors, mean, side) - cohesion(dealt, vectors, mean, side) for side in SIDES]


def cohesion(points: np.ndarray, vectors: np.ndarray, mean: np.ndarray, side: int) -> float:
    on_map = ~np.isnan(points).any(axis=1)
    column, row = np.minimum(np.nan_to_num(points * side), side - 1).astype(np.int64).T
    cell = np.where(on_map, row * side + column, side * side)
    sums = np.zeros((side * side + 1, vectors.shape[1]), np.float32)
    for start in range(0, len(vectors), 50_000):
        part = slice(start, start + 50_000)
        order = np.argsort(cell[part], kind="stable")
        cells, first = np.unique(cell[part][order], return_index=True)
        sums[cells] += np.add.reduceat(vectors[part][order].astype(np.float32), first, axis=0)
    count = np.bincount(cell, minlength=side * side + 1)
    means = unit(sums / np.maximum(count, 1)[:, None] - mean)
    total = 0.0
    for start in range(0, len(vectors), 50_000):
        part = slice(start, start + 50_000)
        cosines = np.einsum("nc,nc->n", unit(vectors[part] - mean), means[cell[part]])
        total += float(cosines[on_map[part]].sum())
    return total / int(on_map.sum())


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def as_markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| activations | way | seconds | processor's | gain in cohesion, grids of 20, 40, 80 | recall | peak GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        peer = next((r for r in rows if r["way"] == "umap-learn" and r["activations"] == row["activations"]), None)
        kept = [f"{gain:.3f}" for gain in row["gain"]]
        times = shares = ""
        if peer and row is not peer:
            kept = [f"{gain:.3f} ({gain / whole:.0%})" for gain, whole in zip(row["gain"], peer["gain"], strict=True)]
            times, shares = f" ({peer['seconds'] / row['seconds']:.1f}×)", f" ({row['recall'] / peer['recall']:.0%})"
        lines.append(
            f"| {row['activations']:,} | {row['way']} | {row['seconds']}{times} | {row['cpu']} | {', '.join(kept)} | "
            f"{row['recall']:.3f}{shares} | {row['peak_gib']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
