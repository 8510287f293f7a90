"""One patch on some photos, over sizes and corners: what the network says before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from actatlas.atlas import ClassNames
from actatlas.confusions.drawing import draw_experiment
from actatlas.confusions.pasting import CORNERS, Spot, as_pixels, logits_of, margins, pasted, side_px, spots
from actatlas.confusions.proving import Patch, grey, noise, real, wilson
from actatlas.errors import UsageError
from actatlas.networks import Network, likeliest
from actatlas.progress import Progress
from actatlas.store.pictures import png

SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)


@dataclass(frozen=True)
class Turn:
    """One photo. pixels: (H, W, 3) uint8, as the network sees it; changed: the same with the patch at its best spot
    before, after: the 5 likeliest classes and their probabilities; is_target: it was taken for the target already
    spot: where the target's logit stands highest over the others; flipped: to the target, there
    curves: {arm: (sizes,) the target's probability in the best corner}, arms as in Experiment"""

    name: str
    pixels: np.ndarray
    changed: np.ndarray
    before: list[tuple[int, float]]
    after: list[tuple[int, float]]
    is_target: bool
    flipped: bool
    spot: Spot
    curves: dict[str, np.ndarray]
    flipped_by: dict[str, bool]


@dataclass(frozen=True)
class Experiment:
    """What one patch does on some photos, beside controls.

    target: a class; shares: the sizes tried, of the input's shorter side; turns: a photo each

    Its arms are "patch", and the controls "noise", "grey", "other_patch": each gets the best of all sizes and corners.
    """

    network: Network
    target: int
    shares: tuple[float, ...]
    turns: list[Turn]

    @property
    def flip_rate(self) -> float:
        """Of the photos that were something else before."""
        return self.rate("patch")

    @property
    def controls(self) -> dict[str, float]:
        return {name: self.rate(name) for name in self.turns[0].curves if name != "patch"}

    def rate(self, arm: str) -> float:
        others = [turn for turn in self.turns if not turn.is_target]
        return sum(turn.flipped_by[arm] for turn in others) / len(others)

    def curve(self, arm: str) -> np.ndarray:
        """(sizes,) the target's probability, mean over the photos that were something else."""
        return np.mean([turn.curves[arm] for turn in self.turns if not turn.is_target], axis=0)

    def table(self) -> pd.DataFrame:
        """One row an arm, the patch first. Of the photos that were something else before:

        turned: the share that it turns to the target, at its best size and corner; low, high: the 95% interval of that
        photos: how many there are; likely: the target's mean probability, in the best corner at the best size
        """
        others = [turn for turn in self.turns if not turn.is_target]
        rows = []
        for arm in ("patch", *self.controls):
            turned = sum(turn.flipped_by[arm] for turn in others)
            low, high = wilson(turned, len(others))
            rows.append([arm, turned / len(others), low, high, len(others), float(self.curve(arm).max())])
        columns = ["arm", "turned", "low", "high", "photos", "likely"]
        return pd.DataFrame(rows, columns=columns)

    def picture(self) -> Image.Image:
        """A row for each of up to six photos, before and with the patch, and what the network says; below, the target's
        mean probability by the patch's size, of the patch and of the controls. RGB.
        """
        names = ClassNames.of(self.network.labels, self.network.require_logits(), None)
        return draw_experiment(self, names.labels)

    def _repr_png_(self) -> bytes:
        return png(self.picture())

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        def top(classes: list[tuple[int, float]]) -> list[dict[str, Any]]:
            return [{"class": names[i], "probability": round(p, 4)} for i, p in classes]

        input_px = self.network.preprocessing.input_px
        sizes = [side_px(share, input_px) for share in self.shares]
        return {
            "target": names[self.target],
            "images": [
                {
                    "file": turn.name, "before": top(turn.before), "after": top(turn.after), "flipped": turn.flipped,
                    "already_target": turn.is_target, "size": side_px(turn.spot.share, input_px),
                    "corner": turn.spot.corner,
                    "curve": {"size": sizes, "probability": [round(float(v), 4) for v in turn.curves["patch"]]},
                }
                for turn in self.turns
            ],
            "flip_rate": round(self.flip_rate, 4),
            "controls": {name: round(rate, 4) for name, rate in self.controls.items()},
        }  # fmt: skip


def paste_and_look(
    network: Network,
    photos: Sequence[tuple[str, Image.Image]],
    patch: Image.Image,
    target: int,
    *,
    other: Image.Image | None = None,
    shares: Sequence[float] = SHARES,
    corners: Sequence[str] = CORNERS,
    seed: int = 0,
    progress: Progress,
) -> Experiment:
    """A patch on photos (name, picture), in every size and corner.

    other: another patch for the third control; None takes a random part of the photos
    shares: sides of the patch, as shares of the input's shorter side, above 0 and at most 1
    Raises UsageError for sizes that cannot be, and where all photos are taken for the target already; NetworkError for
    a network without logits.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise UsageError(f"a patch of {share:.0%} of the photo's side: give sizes above 0% and at most 100%")
    other = _part_of(photos, seed) if other is None else other
    arms: dict[str, Patch] = {"patch": real(patch), "noise": noise(seed), "grey": grey(), "other_patch": real(other)}
    ordered = tuple(sorted(set(shares)))
    turns = []
    with progress.stage("Pasting the patch", len(photos), "photos") as tick:
        for name, photo in photos:
            turns.append(_turn(network, name, network.pixels(photo), arms, target, spots(ordered, corners)))
            tick(1)
    if all(turn.is_target for turn in turns):
        raise UsageError(f"the network takes every one of these photos for the target already ({_listed(turns)})")
    return Experiment(network, target, ordered, turns)


def _turn(network: Network, name: str, pixels: Tensor, arms: dict[str, Patch], target: int, tried: list[Spot]) -> Turn:
    before, wanted = logits_of(network, pixels[None]), torch.tensor(target)
    shares = sorted({spot.share for spot in tried})
    curves, best = {}, {}
    for arm, patch in arms.items():
        sides = {share: side_px(share, (pixels.shape[1], pixels.shape[2])) for share in shares}
        small = {share: as_pixels(patch(side), network) for share, side in sides.items()}
        inputs = torch.stack([pasted(pixels, small[spot.share], spot.corner) for spot in tried])
        logits = logits_of(network, inputs)
        margin = margins(logits, wanted)
        curves[arm] = logits.softmax(dim=1)[:, target].view(len(shares), -1).max(dim=1).values.numpy()
        i = int(margin.argmax())
        best[arm] = float(margin[i]), tried[i], inputs[i], logits[i : i + 1]
    is_target = bool(margins(before, wanted) > 0)
    flipped = {arm: margin > 0 for arm, (margin, *_) in best.items()}
    _, spot, changed, after = best["patch"]
    return Turn(
        name, _shown(pixels), _shown(changed), likeliest(before)[0], likeliest(after)[0], is_target,
        flipped["patch"] and not is_target, spot, curves, flipped,
    )  # fmt: skip


def _shown(pixels: Tensor) -> np.ndarray:
    values = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def _part_of(photos: Sequence[tuple[str, Image.Image]], seed: int) -> Image.Image:
    """A random square of one of the photos, two fifths of its shorter side."""
    random = np.random.default_rng(seed)
    photo = photos[int(random.integers(len(photos)))][1]
    side = max(int(0.4 * min(photo.size)), 1)
    left, top = (int(random.integers(extent - side + 1)) for extent in photo.size)
    return photo.crop((left, top, left + side, top + side))


def _listed(turns: Sequence[Turn]) -> str:
    return ", ".join(turn.name for turn in turns[:3]) + (" …" if len(turns) > 3 else "")
