"""Attributions of at most 16 photos a cell against those of all members, from an atlas in which all carry them.

    python benchmarks/attribution_sample.py ATLAS [--photos 16] [--seeds 20] [--cost PHOTOS]

ATLAS: a finished atlas of at most 100,000 activations a layer, such as `actatlas build` makes. The rule for larger ones
is followed on it, once for each seed. By layer and grid: how far the estimates are from the means over all members
(error), how far their mean over the seeds is (bias; beside it what so many seeds leave of an estimate without any), the
same without weights (plain), the standard errors that are told, how often the truth lies within two of them, in how
many cells the label stays, and how many labels are classes that the network predicts for a photo in the cell.

--cost: seconds of processor time and bytes a photo, on 16 of these photos, with the atlas's crops, positions and
method: collected without attributions, with all, and some of the activations attributed afterwards. They take turns,
three times; the least counts, for other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import actatlas
from actatlas.atlas import Grid, Layer
from actatlas.collect import Attributor, Collector, CollectSettings
from actatlas.images import open_source
from actatlas.records import read_pilot
from actatlas.sample import CellSample, average_cells, choose_members, row_keys

COST_PHOTOS, COST_SHARES, COST_REPEATS = 16, (20, 4), 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas")
    parser.add_argument("--photos", type=int, default=16, help="of a cell")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cost", default=None, metavar="PHOTOS")
    options = parser.parse_args()
    atlas = actatlas.open(options.atlas)
    print("| layer | grid | photos | carry | error, bias | plain: error, bias | told | within 2 | label | held, all |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in atlas.layer_names:
        for side in atlas.layer(name).grid_sides:
            print(accuracy_row(atlas.layer(name).grid(side), options.photos, options.seeds))
    if options.cost:
        print(cost(atlas, options.cost))


def accuracy_row(grid: Grid, most: int, seeds: int) -> str:
    layer, truth = grid.layer, grid.attributions
    average = layer.attribution_mean
    labels = (truth - average).argmax(axis=1)
    estimates, plain, told, within, same, held, carry = [], [], [], [], [], [], []
    for seed in range(seeds):
        sample = choose(layer, grid, most, seed)
        found = average_cells(sample, layer.read_attributed, average)
        unweighted = CellSample(sample.rows, sample.cells, np.ones(len(sample.rows)), sample.cell_count)
        errors = found.errors.astype(np.float32)
        estimates.append(found.attributions - truth)
        plain.append(average_cells(unweighted, layer.read_attributed, average).attributions - truth)
        told.append(rms(errors))
        within.append((np.abs(estimates[-1]) <= 2 * errors)[errors > 0].mean())
        by_sample = (found.attributions - average).argmax(axis=1)
        same.append((by_sample == labels).mean())
        held.append(share_held(grid, by_sample))
        carry.append(len(sample.rows) / layer.activation_count)
    noise = rms(np.std(estimates, axis=0, ddof=1)) / np.sqrt(seeds)
    return (
        f"| {layer.name} | {grid.side} | {np.median(grid.image_counts):.0f} | {np.mean(carry):.0%} "
        f"| {rms(estimates):.3g}, {rms(np.mean(estimates, axis=0)):.2g} ({noise:.2g}) "
        f"| {rms(plain):.3g}, {rms(np.mean(plain, axis=0)):.2g} | {np.mean(told):.3g} | {np.mean(within):.0%} "
        f"| {np.mean(same):.0%} | {np.mean(held):.0%}, {share_held(grid, labels):.0%} |"
    )


def choose(layer: Layer, grid: Grid, most: int, seed: int) -> CellSample:
    keys = row_keys(seed, layer.activation_count)
    return choose_members(*grid.all_members, layer.places.image_ids, keys, most)


def share_held(grid: Grid, labels: np.ndarray) -> float:
    """Of the labels (K,), those that the network predicts for a photo of their cell."""
    predicted = grid.layer.atlas.predicted_classes
    of_photo = predicted.groupby("image_id")["class"].unique()
    seen = [np.concatenate(of_photo.loc[grid.photos(k)].to_list()) for k in range(len(grid))]
    return float(np.mean([label in classes for label, classes in zip(labels, seen, strict=True)]))


def cost(atlas: actatlas.Atlas, photos: str) -> str:
    pilot, network = read_pilot(atlas.files), actatlas.load_network(atlas.plan["network"]["spec"])
    wanted = CollectSettings(**(atlas.plan["settings"]["collect"] | {"shard_images": COST_PHOTOS}))
    source, names = open_source(photos), atlas.layer_names
    bare = Collector(network, source, names, replace(wanted, attribution=None), pilot)
    every = Collector(network, source, names, wanted, pilot)
    attributor = Attributor(network, source, names, wanted, pilot)
    (_, shard), *_ = every.shards([0])
    places, count = shard.activations[names[0]], len(shard.activations[names[0]])
    random = np.random.default_rng(0)
    rows = {
        share: {name: np.sort(random.permutation(count)[: count // share]) for name in names} for share in COST_SHARES
    }
    work: dict[str, Callable[[], object]] = {
        "collected without": lambda: list(bare.shards([0])),
        "collected with those of all": lambda: list(every.shards([0])),
    }
    for share in COST_SHARES:
        told = f"1 in {share} afterwards, in {len(attributor.inputs(rows[share])) / COST_PHOTOS:.1f} passes"
        work[told] = lambda share=share: list(attributor.units(rows[share], places))
    least = dict.fromkeys(work, np.inf)
    for _ in range(COST_REPEATS):
        for told, run in work.items():
            started = time.process_time()
            run()
            least[told] = min(least[told], (time.process_time() - started) / COST_PHOTOS)
    seconds = "; ".join(f"{told} {s:.2f} s" for told, s in least.items())
    row_bytes = sum(2 * part.attributions.shape[1] for part in shard.activations.values())
    return (
        f"\nAttributions of a photo of {count // COST_PHOTOS} activations in {len(names)} layers: {seconds}. "
        f"All are {row_bytes * count // COST_PHOTOS:,} bytes."
    )


def rms(values: object) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    main()
