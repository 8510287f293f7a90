"""Pictures of docs/honesty.md that are of an atlas with activations: what the grid, few photos and another half do.

Icons, bars and dots alone, no photo. Which cells are shown is chosen by a rule, so that the same atlas gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actatlas.atlas import Layer
from actatlas.figures import CAPTION_PT, LABEL_PT, TITLE_PT
from actatlas.grid import GridSettings, make_cells
from actatlas.layout import LayoutSettings, lay_out
from actatlas.progress import StderrProgress
from actatlas.values import ActivationSet, Cells, Layout
from actatlas.working import WorkingAtlas

COARSE, FINE, REGION = 20, 40, 3  # cells along the map's edge; coarse cells along the region's
STEPS, SHOWN_PX = 128, 80
MOST_CLASSES, OF_CELLS = 6, (1.0, 0.5, 0.1)  # which cells: that share of all say less for their first class
HALVES_SIDE, HALVES_SHOWN = 10, 8


@dataclass(frozen=True)
class Ground:
    """A layer of an atlas, and its activations."""

    atlas: WorkingAtlas
    layer: Layer
    activations: ActivationSet

    @classmethod
    def of(cls, atlas: WorkingAtlas, name: str) -> Ground:
        layer = atlas.layer(name)
        return cls(atlas, layer, replace(layer.activations, attributions=layer.attributions))

    def cells(self, side: int) -> Cells:
        layout = Layout(self.layer.layout)
        return make_cells(layout, lambda: iter([self.activations]), self.layer.mean, GridSettings(side))

    def icons(self, means: np.ndarray) -> np.ndarray:
        """(K, S, S, 3) uint8."""
        return self.atlas.paint(self.layer, means, means[:0], steps=STEPS, px=SHOWN_PX).pixels


def two_grids(ground: Ground) -> Figure:
    """The same part of the map under two grids."""
    coarse, fine = ground.cells(COARSE), ground.cells(FINE)
    wholes, parts = _varied_part(coarse, fine, ground.layer.mean)
    icons = ground.icons(np.concatenate([coarse.means[wholes], fine.means[parts]]))
    figure = Figure(figsize=(8, 4.3))
    sides = (icons[: len(wholes)], COARSE), (icons[len(wholes) :], FINE)
    for ax, (pictures, side) in zip(figure.subplots(1, 2), sides, strict=True):
        mosaic = _mosaic(pictures, round(len(pictures) ** 0.5))
        ax.imshow(mosaic, extent=(0, REGION, REGION, 0), interpolation="lanczos")
        for line in range(1, REGION):
            ax.axhline(line, color="white", linewidth=2)
            ax.axvline(line, color="white", linewidth=2)
        ax.set_axis_off()
        ax.set_title(f"grid {side}: {len(pictures)} cells", fontsize=TITLE_PT, loc="left")
    figure.tight_layout()
    return figure


def attributed_cells(ground: Ground) -> Figure:
    """What three cells speak for: the one that says most for a class, the median one, one that says little."""
    cells, labels = ground.cells(COARSE), ground.atlas.labels
    assert cells.attributions is not None, "an atlas with attributions"
    over_mean = cells.attributions - ground.layer.attribution_mean
    order = np.argsort(over_mean.max(axis=1), kind="stable")
    chosen = [int(order[round(share * (len(order) - 1))]) for share in OF_CELLS]
    icons = ground.icons(cells.means[chosen])
    figure = Figure(figsize=(8, 3.9))
    for place, cell in enumerate(chosen):
        photos, errors = _of_photos(ground, cells, cell)
        top = np.argsort(-over_mean[cell], kind="stable")[:MOST_CLASSES]
        icon = figure.add_axes((place / 3 + 0.02, 0.74, 0.12, 0.22))
        icon.imshow(icons[place], interpolation="lanczos")
        icon.set_axis_off()
        figure.text(
            place / 3 + 0.145, 0.85, f"{len(photos)} photos,\n{cells.counts[cell]} activations", fontsize=CAPTION_PT,
            color="0.35", va="center",
        )  # fmt: skip
        ax = figure.add_axes((place / 3 + 0.02, 0.1, 0.29, 0.6))
        _bars(ax, over_mean[cell, top], errors[top], photos[:, top], [labels[c] for c in top])
    return figure


def two_halves(ground: Ground) -> Figure:
    """Cells of a map of one half of the photos, and below each the most alike cell of a map of the other half."""
    photos = np.random.default_rng(0).permutation(np.unique(ground.activations.image_ids))
    one, other = (_half(ground, part) for part in (photos[: len(photos) // 2], photos[len(photos) // 2 :]))
    likeness = _cosines(one.means[:, None] - ground.layer.mean, other.means[None] - ground.layer.mean)  # (K, L)
    found, best = likeness.argmax(axis=1), likeness.max(axis=1)
    order = np.argsort(-best, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, HALVES_SHOWN).round().astype(int)]
    icons = ground.icons(np.concatenate([one.means[chosen], other.means[found[chosen]]]))
    figure = Figure(figsize=(8, 2.4))
    axes = figure.subplots(2, HALVES_SHOWN)
    for ax, icon in zip(axes.ravel(), icons, strict=True):
        ax.imshow(icon, interpolation="lanczos")
        ax.set(xticks=[], yticks=[])
        ax.set_frame_on(False)
    for place, cell in enumerate(chosen):
        axes[1, place].set_xlabel(f"{best[cell]:.2f}", fontsize=CAPTION_PT)
    for row, name in zip(axes, ("one half", "the other"), strict=True):
        row[0].set_ylabel(name, fontsize=LABEL_PT)
    figure.tight_layout(pad=0.6)
    print(
        f"two halves: {len(best)} cells, cosine to the most alike cell of the other: median {np.median(best):.2f}, "
        f"above 0.8 {(best > 0.8).mean():.0%}, below 0.5 {(best < 0.5).mean():.0%}"
    )
    return figure


# --- inside


def _varied_part(coarse: Cells, fine: Cells, mean: np.ndarray) -> tuple[list[int], list[int]]:
    """Cells of a square of the map, row by row, by both grids: of all squares without an empty cell the one whose fine
    cells are least like the coarse cell that they lie in."""
    at, inside, factor = _places(coarse), _places(fine), fine.side // coarse.side
    found: list[tuple[float, list[int], list[int]]] = []
    for left, top in np.ndindex(coarse.side - REGION + 1, coarse.side - REGION + 1):
        squares = [(left + c, top + r) for r, c in np.ndindex(REGION, REGION)]
        across = REGION * factor
        smaller = [(left * factor + c, top * factor + r) for r, c in np.ndindex(across, across)]
        if all(place in at for place in squares) and all(place in inside for place in smaller):
            parts = [inside[place] for place in smaller]
            owners = [at[x // factor, y // factor] for x, y in smaller]
            likeness = float(_cosines(fine.means[parts] - mean, coarse.means[owners] - mean).mean())
            found.append((likeness, [at[place] for place in squares], parts))
    if not found:
        raise SystemExit(f"no {REGION} by {REGION} cells of the grid of {coarse.side} are full; give more activations")
    _, wholes, parts = min(found)
    return wholes, parts


def _half(ground: Ground, photos: np.ndarray) -> Cells:
    """The cells of a map of its own."""
    rows = np.flatnonzero(np.isin(ground.activations.image_ids, photos))
    taken, name = ground.activations.taken(rows), ground.layer.name
    layout = lay_out({name: taken.vectors}, taken.image_ids, LayoutSettings(), StderrProgress())[name]
    return make_cells(layout, lambda: iter([taken]), ground.layer.mean, GridSettings(HALVES_SIDE))


def _of_photos(ground: Ground, cells: Cells, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """(P, classes) each photo's mean attribution over the layer's, and (classes,) the cell's standard error.

    Of the mean over its members; photos are drawn, and not activations, for those of one photo are alike.
    """
    rows = cells.member_rows[cells.member_offsets[cell] : cells.member_offsets[cell + 1]]
    assert ground.activations.attributions is not None
    values = ground.activations.attributions[rows].astype(np.float64) - ground.layer.attribution_mean
    photos, owner, counts = np.unique(ground.activations.image_ids[rows], return_inverse=True, return_counts=True)
    means = np.stack([values[owner == i].mean(axis=0) for i in range(len(photos))])
    apart = (counts[:, None] * (means - values.mean(axis=0))) ** 2
    return means, np.sqrt(apart.sum(axis=0) * len(photos) / (len(photos) - 1)) / len(rows)


def _bars(ax: Axes, values: np.ndarray, errors: np.ndarray, photos: np.ndarray, names: list[str]) -> None:
    """One bar a class, with its standard error; photos (P, classes) as dots."""
    places = np.arange(len(values))
    ax.barh(places, values, height=0.62, color="#9cc9c3")
    for place in places:
        ax.plot(photos[:, place], np.full(len(photos), place), "o", markersize=2, color="0.45", alpha=0.6, linewidth=0)
    ax.errorbar(values, places, xerr=errors, fmt="none", ecolor="black", elinewidth=1.4, capsize=3)
    ax.axvline(0, color="0.3", linewidth=0.8)
    for place, name in zip(places, names, strict=True):
        ax.text(
            0.99, place - 0.44, name, transform=ax.get_yaxis_transform(), fontsize=LABEL_PT, ha="right", va="center"
        )
    ax.set(yticks=[], ylim=(len(values) - 0.4, -0.8))
    ax.set_xlabel("logits", fontsize=CAPTION_PT, loc="right", labelpad=1)
    ax.tick_params(labelsize=CAPTION_PT)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)


def _places(cells: Cells) -> dict[tuple[int, int], int]:
    """(column, row) → index"""
    return {(int(c), int(r)): i for i, (c, r) in enumerate(cells.coordinates)}


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Along the last axis, the others as numpy broadcasts them."""
    return np.asarray((a * b).sum(axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))


def _mosaic(icons: np.ndarray, across: int) -> np.ndarray:
    """(rows · S, across · S, 3)"""
    side = icons.shape[1]
    return icons.reshape(-1, across, side, side, 3).swapaxes(1, 2).reshape(-1, across * side, 3)
