"""From patches to pairs of patch and class that deceive: first what is expected, then what is seen on photos."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from actatlas.atlas import Layer
from actatlas.confusions.candidates import Cut, Evidence, cut_photos
from actatlas.confusions.pasting import CORNERS, logits_of, margins, pasted
from actatlas.confusions.photos import Photos
from actatlas.networks import Network
from actatlas.progress import Progress

NEAREST_PHOTOS = 50  # to the target: every second is tried on, the others are left to a proof
# What a patch of two fifths of the side in a corner does on average (EfficientNet-Lite0; decision 0011): a photo's
# logits lose a tenth, and move towards what the patch gives alone.
_LOSS, _PULL = 0.1, 0.15
_LOOKED_AT, _EACH = 40, 4  # patches of a class: by their own logit, then by what is expected
_HOPEFUL = 700  # pairs that are tried


class _Round(NamedTuple):
    """photos: which of those for a class; corners: how many of a pair's best, 0 for one after the other"""

    photos: slice
    corners: int


_FIRST, _SECOND = _Round(slice(0, 3), 0), _Round(slice(3, 9), 0)
_THIRD, _RESCALED, _LAST = _Round(slice(0, None, 3), 4), _Round(slice(0, None, 3), 1), _Round(slice(None), 2)
_LEFT = (200, 40, 26)  # pairs, after the first three
_SCALES = (0.3, 0.5, 0.75, 1.0)  # sides of what is cut around an activation, of the input's
_SHARPNESS = 1.5  # of a logit between "is not taken for it" and "is"
_TOGETHER = 32


@dataclass
class Pair:
    """A class and a patch.

    corner: where it is tried first
    hope: how nearly the photos are taken for the class, from 0 to 1, as expected or seen
    glanced: margins of a few photos, each in another corner
    seen: {corner: {row of the pool: margin with the patch there}}
    """

    target: int
    cut: Cut
    corner: str = CORNERS[0]
    hope: float = 0.0
    glanced: list[float] = field(default_factory=list)
    seen: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def corners(self) -> list[str]:
        """The best first; those that were tried on more photos go before others."""
        tried = {corner: list(self.seen.get(corner, {}).values()) for corner in CORNERS}
        return sorted(CORNERS, key=lambda corner: (-len(tried[corner]), -_hope(tried[corner]), corner != self.corner))

    @property
    def tried(self) -> float:
        """Share of the photos that are taken for the class with the patch in its best corner."""
        margin = list(self.seen.get(self.corners[0], {}).values())
        return sum(value > 0 for value in margin) / max(len(margin), 1)


class Trials:
    """Patches on photos of a pool.

    network: a quick one will do
    related: (classes, classes) bool
    """

    def __init__(self, network: Network, layer: Layer, pool: Photos, related: np.ndarray, side_px: int):
        self.network, self.layer, self.pool, self.related, self.side_px = network, layer, pool, related, side_px
        self._image_ids = layer.places.image_ids
        self._nearest: dict[int, np.ndarray] = {}
        self._patches: dict[Cut, Tensor] = {}

    def best(self, evidence: Evidence, effort: int, progress: Progress) -> list[Pair]:
        """The most hopeful pairs, the best first: every class and every photo once.

        effort: so many times as many pairs are tried
        """
        pairs = self._expected(evidence, self._cut(evidence, progress), progress)[: effort * _HOPEFUL]
        pairs = self._try(pairs, _FIRST, progress)
        pairs = self.without_own(pairs[: 2 * effort * _LEFT[0]])[: effort * _LEFT[0]]
        pairs = self.once(self._try(pairs, _SECOND, progress))[: min(effort, 2) * _LEFT[1]]
        pairs = self._try(pairs, _THIRD, progress)[: _LEFT[2]]
        return self._try(self._rescaled(pairs, progress), _LAST, progress)

    def photos_for(self, target: int, image_id: int) -> np.ndarray:
        """Rows of the pool: every second of the 50 nearest to the target, without a photo."""
        if target not in self._nearest:
            self._nearest[target] = self.pool.nearest(target)[: NEAREST_PHOTOS + 1]
        rows = self._nearest[target]
        return rows[self.pool.ids[rows] != image_id][:NEAREST_PHOTOS:2]

    def once(self, pairs: Sequence[Pair]) -> list[Pair]:
        """The first of each class, and of each photo that a patch is of."""
        targets: set[int] = set()
        sources: set[int] = set()
        kept = []
        for pair in pairs:
            source = int(self._image_ids[pair.cut.row])
            if pair.target not in targets and source not in sources:
                targets.add(pair.target)
                sources.add(source)
                kept.append(pair)
        return kept

    def without_own(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Those whose patch, enlarged and shown alone, has nothing of the class."""
        kept = []
        for start in range(0, len(pairs), _TOGETHER):
            part = pairs[start : start + _TOGETHER]
            alone = [self.network.pixels(Image.fromarray(self._array(pair.cut))) for pair in part]
            logits = logits_of(self.network, torch.stack(alone))
            own = has_own(logits, torch.tensor([pair.target for pair in part]), self.related)
            kept += [pair for pair, has in zip(part, own, strict=True) if not has]
        return kept

    # --- inside

    def _cut(self, evidence: Evidence, progress: Progress) -> list[Cut]:
        """Each patch twice: as large as it is pasted, so that it keeps its scale; and all that its activation answers
        to, shrunk."""
        sides = sorted({min(self.layer.patch_px, self.side_px), self.layer.patch_px})
        cuts = [Cut(row, px) for row in evidence.rows.tolist() for px in sides]
        self._read(cuts, progress)
        return cuts

    def _read(self, cuts: list[Cut], progress: Progress) -> None:
        with progress.stage("Cutting patches", len(cuts), "patches") as tick:
            for cut, image in cut_photos(self.layer, cuts):
                square = image.convert("RGB").resize((self.side_px,) * 2, Image.Resampling.BICUBIC, reducing_gap=3.0)
                self._patches[cut] = torch.from_numpy(np.array(square)).permute(2, 0, 1)
                tick(1)

    def _rescaled(self, pairs: list[Pair], progress: Progress) -> list[Pair]:
        """Each with as much around its activation as deceives most: from a third of the input's side to all of it."""
        whole = min(self.network.preprocessing.input_px)
        sides = [round(scale * whole) for scale in _SCALES]
        others = [
            Pair(pair.target, Cut(pair.cut.row, px), pair.corners[0])
            for pair in pairs
            for px in sides
            if px != pair.cut.px
        ]
        self._read([pair.cut for pair in others], progress)
        tried = self._try(self.without_own(others), _RESCALED, progress)
        return self.once(sorted([*pairs, *tried], key=lambda pair: -pair.hope))

    def _expected(self, evidence: Evidence, cuts: list[Cut], progress: Progress) -> list[Pair]:
        alone = self._alone(cuts, progress)
        logits = torch.from_numpy(self.pool.logits)
        is_evidence = np.repeat(evidence.is_evidence, len(cuts) // len(evidence.rows), axis=0)
        pairs = []
        for target in range(is_evidence.shape[1]):
            photos = self.photos_for(target, -1)
            chosen = np.flatnonzero(is_evidence[:, target])
            if not len(photos) or not len(chosen):
                continue
            chosen = chosen[np.argsort(-alone[chosen, target].numpy(), kind="stable")][:_LOOKED_AT]
            expected = (1 - _LOSS) * logits[photos] + _PULL * alone[chosen][:, None]  # (patches, photos, classes)
            hope = _softly(margins(expected.flatten(0, 1), torch.tensor(target))).view(len(chosen), -1).mean(dim=1)
            best = torch.argsort(hope, descending=True, stable=True)[:_EACH].tolist()
            pairs += [Pair(target, cuts[chosen[i]], hope=float(hope[i])) for i in best]
        return sorted(pairs, key=lambda pair: -pair.hope)

    def _alone(self, cuts: list[Cut], progress: Progress) -> Tensor:
        """(n, classes): what the network says of patches that are shown alone, at the size at which they are pasted."""
        parts = []
        with progress.stage("Asking the network what the patches are", len(cuts), "patches") as tick:
            for start in range(0, len(cuts), 64):
                part = torch.stack([self._patch(cut) for cut in cuts[start : start + 64]])
                parts.append(logits_of(self.network, self.network.fit(part.float() / 255), 64))
                tick(len(part))
        return torch.cat(parts)

    def _try(self, pairs: list[Pair], round_: _Round, progress: Progress) -> list[Pair]:
        """Pasted on photos of the pool; the best first."""
        assert self.pool.kept is not None  # a pool is small
        photos = self.pool.kept
        jobs: list[tuple[Pair, int, str]] = []
        for pair in pairs:
            rows = self.photos_for(pair.target, int(self._image_ids[pair.cut.row])).tolist()
            for i in range(len(rows))[round_.photos]:
                corners = pair.corners[: round_.corners] if round_.corners else [CORNERS[i % len(CORNERS)]]
                known = pair.seen if round_.corners else {}
                jobs += [(pair, rows[i], corner) for corner in corners if rows[i] not in known.get(corner, {})]
        with progress.stage("Trying patches on photos", len(jobs), "photos") as tick:
            for start in range(0, len(jobs), _TOGETHER):
                part = jobs[start : start + _TOGETHER]
                inputs = torch.stack([pasted(photos[row], self._patch(p.cut), corner) for p, row, corner in part])
                logits = logits_of(self.network, inputs.float() / 255, _TOGETHER)
                for (pair, row, corner), margin in zip(
                    part, margins(logits, torch.tensor([p.target for p, _, _ in part])).tolist(), strict=True
                ):
                    if round_.corners:
                        pair.seen.setdefault(corner, {})[row] = margin
                    else:
                        pair.glanced.append(margin)
                tick(len(part))
        for pair in pairs:
            margin_of_best = pair.seen.get(pair.corners[0], {}).values() if round_.corners else pair.glanced
            pair.hope = _hope(margin_of_best)
        return sorted(pairs, key=lambda pair: -pair.hope)

    def _patch(self, cut: Cut) -> Tensor:
        """(channels, side, side) uint8."""
        pixels = self._patches[cut]
        is_grey = self.network.preprocessing.channel_count == 1
        return pixels.float().mean(dim=0, keepdim=True).round().to(torch.uint8) if is_grey else pixels

    def _array(self, cut: Cut) -> np.ndarray:
        return self._patches[cut].permute(1, 2, 0).numpy()


def has_own(logits: Tensor, targets: Tensor, related: np.ndarray) -> Tensor:
    """(B,) bool: the target is in the top 5 of these logits (B, classes), or related to the first."""
    top = torch.topk(logits, min(5, logits.shape[1])).indices
    return (top == targets[:, None]).any(dim=1) | torch.from_numpy(related)[targets, top[:, 0]]


def _hope(margin: Collection[float]) -> float:
    return float(_softly(torch.tensor(list(margin))).mean()) if margin else 0.0


def _softly(margin: Tensor) -> Tensor:
    return torch.sigmoid(_SHARPNESS * margin)
