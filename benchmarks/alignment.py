"""Alignment: how much of a layer's own order is kept, against how far things move between neighbouring layers.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/alignment.py [--crops 4] [--positions 4] [--layers NAME…] [--json FILE]
    python benchmarks/alignment.py --vectors FILE.npz        image_ids (N,), and (N, C) a layer, in forward order

Definitions, the same for every way:

*Cohesion* of a layout: mean, over the activations in cells of at least 3 photos of a 20 × 20 grid, of the cosine to their cell's mean, both less the
layer's mean. *Control*: the same points, dealt out to the activations at random. *Kept*: (cohesion − its own control) over the same for the layer laid
out alone, by everybody at once, as umap-learn does; the mean over layers, and the worst layer. It can exceed 100%: maps from landmarks hold together better,
and layouts differ by luck by about 1%, see the row of another seed.
*Displacement* between two neighbouring layers, in sides of the map, after each layer was spread over its square and framed: of activations, the median way; of regions, the mean
way between the centres (means of the members' places) of 50 regions, weighed by members, averaged over the pairs of layers. Regions are k-means
clusters of (a) the two layers' vectors side by side, (b) the first layer's alone, (c) the second's. Vectors are centred and of length 1.
*Layouts laid out alone* are turned onto one another first: orthogonal Procrustes over all activations (turn, mirror, shift), the best that can be done
without changing them. The aligned ways are not turned. *Displacement relative* is a way's over that of the turned ones.
*To landmarks alone*: kept, and regions and regions of either layer relative, where the layouts laid out alone are from landmarks too: the sterner measure.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import scipy.sparse
import umap.umap_
from sklearn.cluster import MiniBatchKMeans

from actatlas.layout import LayoutSettings
from actatlas.layout.alignment import lay_out_aligned, lay_out_beside
from actatlas.layout.embedding import Curve, Graph, Optimiser, starting_points
from actatlas.layout.flow import framed, lay_out_alone
from actatlas.layout.manners import LANDMARKS
from actatlas.layout.neighbours import neighbour_graph, unit_rows
from actatlas.layout.spreading import spread_out
from actatlas.progress import Silent, StderrProgress

LAYERS = ["blocks.3.expanded", "blocks.6.expanded", "blocks.11.expanded", "blocks.14.expanded"]
SIDE, MIN_PHOTOS, REGION_COUNT = 20, 3, 50
Points = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", metavar="FILE.npz")
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"))
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--crops", type=int, default=4)
    parser.add_argument("--positions", type=int, default=4)
    parser.add_argument("--only", nargs="+", default=[], help="ways whose names hold one of these words")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if options.vectors:
        with np.load(options.vectors) as stored:
            vectors = {name: stored[name] for name in stored.files if stored[name].dtype == np.float16}
            image_ids = stored["image_ids"]
    elif options.photos:
        vectors, image_ids = collected(options.photos, options.layers, options.crops, options.positions)
    else:
        sys.exit("no vectors: set ACTATLAS_PHOTOS, or give --photos FOLDER or --vectors FILE.npz")
    rows = list(Comparison(vectors, image_ids).rows(options.only))
    print(as_markdown(rows, vectors, image_ids))
    report = {"activations": len(image_ids), "layers": list(vectors), "defaults": vars(LayoutSettings()), "rows": rows}
    print(json.dumps(report))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)


def collected(photos: str, layers: list[str], crops: int, positions: int) -> tuple[Points, np.ndarray]:
    from actatlas.collect import Collector, CollectSettings, run_pilot
    from actatlas.images import open_source
    from actatlas.networks import load_network

    network, source = load_network("packaged:efficientnet-lite0"), open_source(photos)
    settings = CollectSettings(crops=crops, positions=positions, attribution=None, predictions=False)
    pilot = run_pilot(network, source, layers, settings, StderrProgress())
    shards = [shard.activations for _, shard in Collector(network, source, layers, settings, pilot).shards()]
    vectors = {layer: np.concatenate([shard[layer].vectors for shard in shards]) for layer in layers}
    return vectors, np.concatenate([shard[layers[0]].image_ids for shard in shards])


class Comparison:
    """All ways on the same graphs, starts and epochs."""

    def __init__(self, vectors: Mapping[str, np.ndarray], image_ids: np.ndarray):
        self.vectors, self.image_ids, self.settings = vectors, image_ids, LayoutSettings()
        self.everybody = replace(self.settings, method="umap")
        self.curve = Curve.fitted(self.settings.min_dist)
        self.graphs: dict[str, Graph] = {}
        for layer, rows in vectors.items():
            seed = self.settings.seed_of(layer)
            self.graphs[layer], _ = neighbour_graph(rows, image_ids, self.settings.neighbors, seed, lambda count: None)
        self.centred = {layer: centred(rows) for layer, rows in vectors.items()}
        self.pairs = list(zip(vectors, list(vectors)[1:], strict=False))
        self.regions = [
            [clusters(np.hstack([self.centred[a], self.centred[b]])), *(clusters(self.centred[x]) for x in (a, b))]
            for a, b in self.pairs
        ]

    def rows(self, only: list[str]) -> Iterator[dict]:
        alone = [self._framed(self._alone(settings)) for settings in (self.everybody, self.settings)]
        self.gains = [{layer: self._gain(layer, layouts[layer]) for layer in layouts} for layouts in alone]
        turned = [self._turned(layouts) for layouts in alone]
        self.bases = [self._displacements(layouts) for layouts in turned]
        for start, layouts, places in zip(("", "from landmarks"), alone, turned, strict=True):
            yield self._row("laid out alone, turned by Procrustes", start, places, layouts, 0.0)
        for way, strength, place in self._ways():
            if only and not any(word in way for word in only):
                continue
            started = time.monotonic()
            layouts = self._framed(place())
            seconds = time.monotonic() - started
            print(f"{way} {strength}: {seconds:.0f} s", file=sys.stderr)
            yield self._row(way, strength, layouts, layouts, seconds)

    def _ways(self) -> Iterator[tuple[str, str, Callable[[], Points]]]:
        other_seed = replace(self.everybody, seed=1)
        yield "laid out alone, another seed, not turned", "", lambda: self._alone(other_seed)
        yield "umap-learn's own loop, not turned", "", self._by_umap_learn
        for rate in (1.0, 0.1):
            yield "each from its neighbour's layout", f"rate {rate}", lambda rate=rate: self._from_neighbour(rate)
        for weight in (0.3, 1.0, 3.0, 10.0):
            yield "joint graph, equal edges", f"weight {weight}", lambda w=weight: self._joint(w, power=0)
        for weight in (3.0, 10.0):
            yield "joint graph, edges by agreement²", f"weight {weight}", lambda w=weight: self._joint(w, power=2)
        for pull in (0.0, 0.4, 0.6, 0.8):
            settings = replace(self.everybody, pull=pull)
            yield "shared start, regions pulled", f"pull {pull}", lambda s=settings: self._aligned(s)
        for pull in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0):
            is_default = " (the default)" if pull == LANDMARKS.pull else ""
            settings = replace(self.settings, pull=pull)
            yield "from landmarks, regions pulled", f"pull {pull}{is_default}", lambda s=settings: self._aligned(s)
        for seed in (1, 2):
            settings = replace(self.settings, seed=seed)
            yield "from landmarks, regions pulled", f"the default, seed {seed}", lambda s=settings: self._aligned(s)
        for layer in self.graphs:
            yield "a layer added beside the others", layer, lambda name=layer: self._added(name)

    def _alone(self, settings: LayoutSettings) -> Points:
        return lay_out_alone(self.graphs, self.vectors, self.curve, settings, Silent())

    def _aligned(self, settings: LayoutSettings) -> Points:
        return lay_out_aligned(self.graphs, self.vectors, self.curve, settings, Silent())

    def _added(self, name: str) -> Points:
        """The others aligned without it, as they are stored; then it, beside them."""
        others = {layer: graph for layer, graph in self.graphs.items() if layer != name}
        vectors = {layer: self.vectors[layer] for layer in others}
        placed = lay_out_aligned(others, vectors, self.curve, self.settings, Silent())
        frame = (self.settings.cut_percentile, self.settings.margin)
        stored = {layer: framed(spread_out(points), *frame).points for layer, points in placed.items()}
        beside = {layer: stored.get(layer) for layer in self.graphs}
        added = lay_out_beside({name: self.graphs[name]}, beside, self.curve, self.settings, Silent())
        return placed | added

    def _by_umap_learn(self) -> Points:
        placed = {}
        for layer, graph in self.graphs.items():
            seed = self.settings.seed_of(layer)
            placed[layer], _ = umap.umap_.simplicial_set_embedding(
                None, graph, 2, 1.0, self.curve.a, self.curve.b, 1.0, 5, self.settings.epochs,
                starting_points(graph, [self.vectors[layer]], seed), np.random.RandomState(seed), "cosine", {},
                False, {}, False,
            )  # fmt: skip
        return placed

    def _from_neighbour(self, rate: float) -> Points:
        """From the last layer to the first; the last one is laid out alone."""
        last = list(self.graphs)[-1]
        placed = {last: self._alone(self.everybody)[last]}
        for layer, after in reversed(self.pairs):
            placed[layer] = self._descended(self.graphs[layer], placed[after], rate)
        return placed

    def _joint(self, weight: float, power: int) -> Points:
        """One layout of all layers' graphs with an edge between the same activation in neighbouring layers."""
        names, n = list(self.graphs), len(self.image_ids)
        blocks: list[list] = [[self.graphs[a] if a == b else None for b in names] for a in names]
        for i, (a, b) in enumerate(self.pairs):
            edges = scipy.sparse.diags(weight * self._agreement(a, b) ** power)
            blocks[i][i + 1] = blocks[i + 1][i] = edges
        # The heaviest edge is drawn in every epoch: more epochs, so that a layer's own edges are drawn as often.
        epochs = int(self.settings.epochs * max(1.0, weight))
        shared = starting_points(sum(self.graphs.values()), list(self.vectors.values()), 0)
        points = self._descended(
            scipy.sparse.block_array(blocks).tocsr(), np.tile(shared, (len(names), 1)), 1.0, epochs
        )
        return {layer: points[i * n : (i + 1) * n] for i, layer in enumerate(names)}

    def _agreement(self, a: str, b: str) -> np.ndarray:
        """(N,) in [0, 1]: how like an activation its neighbours in one layer are in the other, over that one's own."""
        total = np.zeros(len(self.image_ids))
        for here, there in ((a, b), (b, a)):
            likeness = []
            for graph in (self.graphs[here], self.graphs[there]):
                means = scipy.sparse.diags(1 / np.asarray(graph.sum(axis=1)).ravel()) @ graph @ self.centred[there]
                likeness.append(np.einsum("nc,nc->n", means, self.centred[there]))
            total += np.clip(likeness[0] / np.maximum(likeness[1], 1e-6), 0, 1) / 2
        return total

    def _descended(self, graph: Graph, start: np.ndarray, rate: float, epochs: int | None = None) -> np.ndarray:
        epochs = epochs or self.settings.epochs
        points, optimiser = start.copy(), Optimiser(graph, self.curve, epochs, 0)
        for epoch in range(epochs):
            optimiser.run(points, epoch, rate * (1 - epoch / epochs))
        return points

    def _framed(self, points: Points) -> Points:
        frame = (self.settings.cut_percentile, self.settings.margin)
        return {layer: framed(spread_out(points[layer]), *frame).points.astype(np.float64) for layer in self.graphs}

    def _gain(self, layer: str, points: np.ndarray) -> float:
        dealt_out = np.random.default_rng(0).permutation(points)
        return self._cohesion(layer, points) - self._cohesion(layer, dealt_out)

    def _cohesion(self, layer: str, points: np.ndarray) -> float:
        placed = ~np.isnan(points).any(axis=1)
        cell = np.full(len(points), -1)
        cell[placed] = (np.minimum(np.floor(points[placed] * SIDE), SIDE - 1) @ [1, SIDE]).astype(int)
        pairs = np.unique(np.stack([cell[placed], self.image_ids[placed]], axis=1), axis=0)
        photos = np.bincount(pairs[:, 0], minlength=SIDE**2)
        rows = np.flatnonzero(placed & (photos[cell] >= MIN_PHOTOS))
        vectors = self.vectors[layer].astype(np.float32)
        vectors -= vectors.mean(axis=0)
        members = scipy.sparse.csr_array(
            (np.ones(len(rows), np.float32), (cell[rows], rows)), shape=(SIDE**2, len(points))
        )
        means = unit(members @ vectors)
        return float(np.einsum("nc,nc->n", self.centred[layer][rows], means[cell[rows]]).mean())

    def _displacements(self, layouts: Points) -> dict[str, float]:
        found: dict[str, list[float]] = {"activations": [], "regions": [], "regions_of_either": []}
        for (a, b), (joint, first, second) in zip(self.pairs, self.regions, strict=True):
            found["activations"].append(float(np.nanmedian(np.linalg.norm(layouts[a] - layouts[b], axis=1))))
            found["regions"].append(centre_way(layouts[a], layouts[b], joint))
            found["regions_of_either"] += [centre_way(layouts[a], layouts[b], region) for region in (first, second)]
        return {name: float(np.mean(ways)) for name, ways in found.items()}

    def _turned(self, alone: Points) -> Points:
        turned = dict(list(alone.items())[-1:])
        for a, b in reversed(self.pairs):
            turned[a] = turned_onto(alone[a], turned[b])
        return turned

    def _row(self, way: str, strength: str, places: Points, layouts: Points, seconds: float) -> dict:
        gains = {layer: self._gain(layer, layouts[layer]) for layer in layouts}
        kept, kept_of_landmarks = ({layer: gains[layer] / gain[layer] for layer in gains} for gain in self.gains)
        ways = self._displacements(places)
        base, base_of_landmarks = self.bases
        return {
            "way": way,
            "strength": strength,
            "kept": round(float(np.mean(list(kept.values()))), 3),
            "kept_by_layer": {layer: round(share, 3) for layer, share in kept.items()},
            "displacement": {name: round(found, 4) for name, found in ways.items()},
            "relative": {name: round(found / base[name], 2) for name, found in ways.items()},
            "to_landmarks_alone": {
                "kept": round(float(np.mean(list(kept_of_landmarks.values()))), 3),
                **{name: round(found / base_of_landmarks[name], 2) for name, found in ways.items()},
            },
            "seconds": round(seconds, 1),
        }


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def centred(vectors: np.ndarray) -> np.ndarray:
    """(N, C) float32 of length 1, less the mean."""
    rows = vectors.astype(np.float32)
    return unit_rows(rows - rows.mean(axis=0))[:, : vectors.shape[1]]


def clusters(rows: np.ndarray) -> np.ndarray:
    return MiniBatchKMeans(REGION_COUNT, random_state=0, n_init=1).fit_predict(rows)


def turned_onto(points: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Orthogonal Procrustes: turned, mirrored and shifted to lie nearest `goal`, activation by activation."""
    both = ~(np.isnan(points) | np.isnan(goal)).any(axis=1)
    middle, goal_middle = points[both].mean(axis=0), goal[both].mean(axis=0)
    left, _, right = np.linalg.svd((points[both] - middle).T @ (goal[both] - goal_middle))
    return (points - middle) @ left @ right + goal_middle


def centre_way(first: np.ndarray, second: np.ndarray, region: np.ndarray) -> float:
    both = ~(np.isnan(first) | np.isnan(second)).any(axis=1)
    sizes = np.bincount(region[both], minlength=REGION_COUNT)
    sums = [np.bincount(region[both], (first - second)[both, axis], REGION_COUNT) for axis in (0, 1)]
    return float(np.linalg.norm(np.array(sums) / np.maximum(sizes, 1), axis=0) @ sizes / sizes.sum())


def as_markdown(rows: list[dict], vectors: Mapping[str, np.ndarray], image_ids: np.ndarray) -> str:
    lines = [
        f"{len(image_ids):,} activations of {len(np.unique(image_ids))} photos; layers {', '.join(vectors)}.",
        "",
        "| way | strength | cohesion kept (worst layer) | displacement: activations | regions | regions, relative "
        "| regions of either layer, relative | to landmarks alone: kept, regions, of either | layout, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ways, worst, sterner = row["displacement"], min(row["kept_by_layer"].values()), row["to_landmarks_alone"]
        lines.append(
            f"| {row['way']} | {row['strength']} | {row['kept']:.1%} ({worst:.1%}) | {ways['activations']:.3f} "
            f"| {ways['regions']:.3f} | {row['relative']['regions']:.2f} | {row['relative']['regions_of_either']:.2f} "
            f"| {sterner['kept']:.1%}, {sterner['regions']:.2f}, {sterner['regions_of_either']:.2f} "
            f"| {row['seconds']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
