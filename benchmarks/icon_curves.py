"""The curves of icons against seconds, from the figures that `icons.py --curves --out FOLDER` has written.

    python benchmarks/icon_curves.py FOLDER/icons.json -o FILE.png

Three panels, one an axis of quality, over the seconds an icon takes: identified, second opinion, naturalness (the worst
of its three depths; lower is better). One line a painter; the dashed line is what real patches reach.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

# Colours that colour-blind readers tell apart (Okabe and Ito, 2008), and marks: colour is not the only sign.
PAINTERS = {"actatlas": ("#0072B2", "o"), "dreamlens": ("#D55E00", "s"), "Lucid's recipe": ("#009E73", "^")}


@dataclass(frozen=True)
class Panel:
    """One axis of quality; key: its name in a row of figures."""

    title: str
    key: str
    limits: tuple[float, float]

    def of(self, row: dict) -> float:
        value = row[self.key]
        return max(value) if isinstance(value, list) else value


PANELS = (
    Panel("identified", "identified", (-0.03, 1.03)),
    Panel("second opinion", "second_opinion", (0.5, 1.0)),
    Panel("naturalness (lower is better)", "naturalness", (0.0, 1.05)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", help="icons.json of a run with --curves")
    parser.add_argument("-o", required=True, dest="out", help="picture")
    options = parser.parse_args()
    figures = json.loads(Path(options.figures).read_text())
    if not figures["curves"]:
        sys.exit(f"{options.figures} holds no curves; run icons.py with --curves")
    draw(figures, Path(options.out))


def draw(figures: dict, path: Path) -> None:
    layer = figures["curves"][0]["layer"]
    rows = [row for row in figures["rows"] + figures["curves"] if row["layer"] == layer]
    real = next(row for row in rows if row["way"] == "real patch")
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(11, 3.6), layout="constrained")
    for panel, axis in zip(PANELS, axes, strict=True):
        for painter, (colour, mark) in PAINTERS.items():
            points = sorted((row["seconds"], panel.of(row)) for row in rows if is_by(row["way"], painter))
            axis.plot(*zip(*points, strict=True), color=colour, marker=mark, label=painter)
        if real.get(panel.key) is not None:
            axis.axhline(panel.of(real), color="0.4", linestyle="--", linewidth=1, label="real patches")
        axis.set(xscale="log", xlabel="seconds an icon", title=panel.title, ylim=panel.limits)
        axis.grid(alpha=0.25)
    axes[0].legend(*axes[2].get_legend_handles_labels(), loc="center left", fontsize=8)
    figure.suptitle(f"{layer}, {figures['network']}", fontsize=9)
    figure.savefig(path, dpi=100)


def is_by(way: str, painter: str) -> bool:
    """A painter's own row, its draft, and its rows of more or fewer steps; dreamlens with S is another recipe."""
    return way.partition(",")[0] == painter and way != "dreamlens, S"


if __name__ == "__main__":
    main()
