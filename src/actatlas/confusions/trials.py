"""From patches to pairs of patch and class that deceive: first what is expected, then what is seen on photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from actatlas.atlas import Layer
from actatlas.confusions.candidates import Cut, Evidence, cut_photos
from actatlas.confusions.effects import Effects, effects_of, forecast, foretold
from actatlas.confusions.pasting import CORNERS, logits_of, margins
from actatlas.confusions.photos import Photos
from actatlas.confusions.splicing import Splicing
from actatlas.networks import Network
from actatlas.progress import Progress

NEAREST_PHOTOS = 50  # to the target: every second is tried on, the others are left to a proof
# What a patch of two fifths of the side in a corner does on average (EfficientNet-Lite0; decision 0011): a photo's
# logits lose a tenth, and move towards what the patch gives alone.
_LOSS, _PULL = 0.1, 0.15
_LOOKED_AT, _EACH = 40, 4  # patches of a class at least: by what they add to its logit, then by what is expected
# Patches that the network is asked about: drawn at random, then those that activations like theirs promise most of.
_DRAWN, _PROMISING = 1500, 3000
_SIZE = 0.8  # what a patch's size counts beside its activation, when activations are compared
_HOPEFUL = 260, 260, 200  # patches that are seen on a few photos, round by round
_SEEN_ON = 3  # photos, each in a corner of its own
_TOP = 20  # pairs wanted, for which these numbers are; more of them, or more effort, take as many times as many
_EXPECTED, _FOREIGN, _TO_RESCALE = 240, 80, 60  # pairs: of each class the best, those without its own, the first


class _Round(NamedTuple):
    """photos: which of those for a class; corners: how many of a pair's best; pairs: so many are tried, for `_TOP`"""

    photos: slice
    corners: int
    pairs: int


_EVERYWHERE, _LAST = _Round(slice(0, None, 3), 4, 40), _Round(slice(None), 1, 26)
_SCALES = (0.3, 0.5, 0.75, 1.0)  # sides of what is cut around an activation, of the input's
_SHARPNESS = 1.5  # of a logit between "is not taken for it" and "is"
_TOGETHER = 48


@dataclass
class Pair:
    """A class and a patch.

    hope: how nearly the photos are taken for the class, from 0 to 1, as expected or seen
    seen: {corner: {row of the pool: margin with the patch there}}
    """

    target: int
    cut: Cut
    hope: float = 0.0
    seen: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def corners(self) -> list[str]:
        """The best first; those that were tried on more photos go before others."""
        tried = {corner: list(self.seen.get(corner, {}).values()) for corner in CORNERS}
        return sorted(CORNERS, key=lambda corner: (-len(tried[corner]), -_hope(tried[corner])))

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
        self._sides = sorted({min(layer.patch_px, side_px), layer.patch_px})
        self._image_ids = layer.places.image_ids
        self._nearest: dict[int, np.ndarray] = {}
        self._patches: dict[Cut, Tensor] = {}
        assert pool.kept is not None  # a pool is small
        self._photos = Splicing(network).on(pool.kept)

    def best(self, evidence: Evidence, effort: int, top: int, progress: Progress) -> list[Pair]:
        """The most hopeful pairs, the best first: every class and every photo once.

        effort: so many times as many patches and pairs are tried; top: pairs wanted
        """
        wanted = -(-top // _TOP)
        many = max(effort, wanted)
        cuts, effects = self._hopeful(evidence, *self._asked(evidence, effort, progress), effort, progress)
        each = self._each(_EXPECTED, 2)
        pairs = self.at_most(each, self._expected(evidence, cuts, effects, each))
        pairs = self.without_own(pairs[: many * _EXPECTED], many * _FOREIGN)
        pairs = self.at_most(self._each(_EVERYWHERE.pairs, 1), self._rescaled(pairs, many, progress))
        pairs = self._try(pairs, _EVERYWHERE, many, progress)
        return self._try(self.at_most(1, pairs), _LAST, wanted, progress)

    def photos_for(self, target: int, image_id: int) -> np.ndarray:
        """Rows of the pool: every second of the 50 nearest to the target, without a photo."""
        if target not in self._nearest:
            self._nearest[target] = self.pool.nearest(target)[: NEAREST_PHOTOS + 1]
        rows = self._nearest[target]
        return rows[self.pool.ids[rows] != image_id][:NEAREST_PHOTOS:2]

    def at_most(self, most: int, pairs: Sequence[Pair]) -> list[Pair]:
        """The first so many of each class, and of each photo that a patch is of."""
        targets: Counter[int] = Counter()
        sources: Counter[int] = Counter()
        kept = []
        for pair in pairs:
            source = int(self._image_ids[pair.cut.row])
            if targets[pair.target] < most and sources[source] < most:
                targets[pair.target] += 1
                sources[source] += 1
                kept.append(pair)
        return kept

    def without_own(self, pairs: Sequence[Pair], most: int) -> list[Pair]:
        """The first so many of those whose patch, enlarged and shown alone, has nothing of the class."""
        kept: list[Pair] = []
        for start in range(0, len(pairs), _TOGETHER):
            if len(kept) >= most:
                break
            part = pairs[start : start + _TOGETHER]
            alone = [self.network.pixels(Image.fromarray(self._array(pair.cut))) for pair in part]
            logits = logits_of(self.network, torch.stack(alone))
            own = has_own(logits, torch.tensor([pair.target for pair in part]), self.related)
            kept += [pair for pair, has in zip(part, own, strict=True) if not has]
        return kept[:most]

    # --- inside

    def _asked(self, evidence: Evidence, effort: int, progress: Progress) -> tuple[list[Cut], Tensor]:
        """Patches, and (n, classes) what the network says of each that is shown alone: of some drawn at random, then of
        those that seem to do most. An activation tells what the network says of its patch, less well, at no cost.
        """
        every = self._cuts(evidence)
        drawn = np.random.default_rng(0).permutation(len(every))[: effort * _DRAWN]
        alone = self._alone([every[i] for i in drawn], progress)
        foreseen = foretold(self._features(evidence), drawn, alone)
        each = self._each(2 * effort * _PROMISING, _EACH)
        known, place = set(drawn.tolist()), {cut: i for i, cut in enumerate(every)}
        best = [place[cut] for cut in _cuts_of(self._expected(evidence, every, _by_alone(foreseen), each))]
        best = [i for i in best if i not in known][: effort * _PROMISING]
        alone = torch.cat([alone, self._alone([every[i] for i in best], progress)])
        return [every[i] for i in [*drawn, *best]], alone

    def _cuts(self, evidence: Evidence) -> list[Cut]:
        """Each patch twice: as large as it is pasted, so that it keeps its scale; and all that its activation answers
        to, shrunk."""
        return [Cut(row, px) for row in evidence.rows.tolist() for px in self._sides]

    def _features(self, evidence: Evidence) -> Tensor:
        """(n, d) of `_cuts`: where activations point, and the patch's size."""
        vectors = torch.cat(
            [torch.as_tensor(part.vectors, dtype=torch.float32) for part in self.layer.read_rows(evidence.rows)]
        )
        unit = torch.nn.functional.normalize(vectors)
        away = unit - unit.mean(dim=0)
        away /= (away**2).sum(dim=1).mean().sqrt().clamp(min=1e-6)
        sizes = _SIZE * torch.arange(len(self._sides)).float()
        return torch.cat([away.repeat_interleave(len(sizes), dim=0), sizes.repeat(len(away))[:, None]], dim=1)

    def _read(self, cuts: list[Cut], progress: Progress) -> None:
        with progress.stage("Cutting patches", len(cuts), "patches") as tick:
            for cut, pixels in cut_photos(self.layer, cuts, self._square):
                self._patches[cut] = pixels
                tick(1)

    def _square(self, patch: Image.Image) -> Tensor:
        """(3, side, side) uint8."""
        square = patch.convert("RGB").resize((self.side_px,) * 2, Image.Resampling.BICUBIC, reducing_gap=3.0)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)

    def _rescaled(self, pairs: list[Pair], many: int, progress: Progress) -> list[Pair]:
        """With the same at other scales: from a third of the input's side around an activation to all of it."""
        whole = min(self.network.preprocessing.input_px)
        sides = [round(scale * whole) for scale in _SCALES]
        others = [
            Pair(pair.target, Cut(pair.cut.row, px))
            for pair in pairs[: many * _TO_RESCALE]
            for px in sides
            if px != pair.cut.px
        ]
        self._read(_cuts_of(others), progress)
        others = self.without_own(others, len(others))
        cuts = _cuts_of(others)
        effects, place = self._effects(cuts, progress), {cut: i for i, cut in enumerate(cuts)}
        for pair in others:
            pair.hope = float(self._hopes(pair.target, effects.of(np.array([place[pair.cut]])))[0])
        return sorted([*pairs, *others], key=lambda pair: -pair.hope)

    def _each(self, total: int, least: int) -> int:
        """Pairs of a class, so that there are about so many in all."""
        return max(total // self.pool.logits.shape[1], least)

    def _expected(self, evidence: Evidence, cuts: list[Cut], effects: Effects, each: int) -> list[Pair]:
        """The most hopeful patches of each class, so many; the best first."""
        is_evidence = evidence.is_evidence[np.searchsorted(evidence.rows, [cut.row for cut in cuts])]
        pairs = []
        for target in range(is_evidence.shape[1]):
            chosen = np.flatnonzero(is_evidence[:, target])
            if not len(self.photos_for(target, -1)) or not len(chosen):
                continue
            chosen = chosen[np.argsort(-effects.gained[chosen, target].numpy(), kind="stable")][: max(_LOOKED_AT, each)]
            hope = self._hopes(target, effects.of(chosen))
            best = torch.argsort(hope, descending=True, stable=True)[:each].tolist()
            pairs += [Pair(target, cuts[chosen[i]], float(hope[i])) for i in best]
        return sorted(pairs, key=lambda pair: -pair.hope)

    def _hopes(self, target: int, effects: Effects) -> Tensor:
        """(n,) of n patches, over the photos for a class."""
        expected = effects.on(torch.from_numpy(self.pool.logits[self.photos_for(target, -1)]))
        own = expected[..., target].clone()
        expected[..., target] = -torch.inf
        return _softly(own - expected.amax(dim=-1)).mean(dim=1)

    def _hopeful(
        self, evidence: Evidence, cuts: list[Cut], alone: Tensor, effort: int, progress: Progress
    ) -> tuple[list[Cut], Effects]:
        """The patches that are expected to do most, and what they do: of each round tells which come next.

        alone: (n, classes) what the network says of the patches that are shown alone
        """
        place = {cut: i for i, cut in enumerate(cuts)}
        each = self._each(2 * effort * sum(_HOPEFUL), _EACH)
        chosen: list[Cut] = []
        seen = Effects(torch.zeros(0), alone[:0])
        for count in _HOPEFUL:
            told = np.array([place[cut] for cut in chosen], np.int64)
            expected = forecast(alone, told, seen) if chosen else _by_alone(alone)
            known = set(chosen)
            hopeful = _cuts_of(self._expected(evidence, cuts, expected, each))
            new = [cut for cut in hopeful if cut not in known][: effort * count]
            chosen += new
            seen = seen.and_those(self._effects(new, progress))
        return chosen, seen

    def _alone(self, cuts: list[Cut], progress: Progress) -> Tensor:
        """(n, classes): what the network says of patches that are shown alone, at the size at which they are pasted."""
        if not cuts:
            return torch.zeros(0, self.pool.logits.shape[1])
        self._read(cuts, progress)
        parts = []
        with progress.stage("Asking the network what the patches are", len(cuts), "patches") as tick:
            for start in range(0, len(cuts), 64):
                part = torch.stack([self._patch(cut) for cut in cuts[start : start + 64]])
                parts.append(logits_of(self.network, part))
                tick(len(part))
        return torch.cat(parts)

    def _effects(self, cuts: list[Cut], progress: Progress) -> Effects:
        """As seen on a few photos, each in one corner: what a patch hides or adds is told for all classes at once."""
        before = torch.from_numpy(self.pool.logits[:_SEEN_ON])  # a pool may hold fewer photos
        after = [before[None][:0]]
        with progress.stage("Seeing what patches change", len(cuts), "patches") as tick:
            for start in range(0, len(cuts), _TOGETHER):
                patches = torch.stack([self._patch(cut) for cut in cuts[start : start + _TOGETHER]])
                seen = [
                    self._photos.logits([row] * len(patches), patches, corner)
                    for row, corner in zip(range(len(before)), CORNERS, strict=False)
                ]
                after.append(torch.stack(seen, dim=1))
                tick(len(patches))
        return effects_of(before, torch.cat(after))

    def _try(self, pairs: list[Pair], round_: _Round, many: int, progress: Progress) -> list[Pair]:
        """Pasted on photos of the pool; the best first."""
        pairs = pairs[: many * round_.pairs]
        jobs: dict[str, list[tuple[Pair, int]]] = {corner: [] for corner in CORNERS}
        for pair in pairs:
            rows = self.photos_for(pair.target, int(self._image_ids[pair.cut.row])).tolist()[round_.photos]
            for corner in pair.corners[: round_.corners]:
                jobs[corner] += [(pair, row) for row in rows if row not in pair.seen.get(corner, {})]
        with progress.stage("Trying patches on photos", sum(map(len, jobs.values())), "photos") as tick:
            for corner, of_corner in jobs.items():
                for start in range(0, len(of_corner), _TOGETHER):
                    part = of_corner[start : start + _TOGETHER]
                    patches = torch.stack([self._patch(pair.cut) for pair, _ in part])
                    logits = self._photos.logits([row for _, row in part], patches, corner)
                    seen = margins(logits, torch.tensor([pair.target for pair, _ in part])).tolist()
                    for (pair, row), margin in zip(part, seen, strict=True):
                        pair.seen.setdefault(corner, {})[row] = margin
                    tick(len(part))
        for pair in pairs:
            pair.hope = _hope(pair.seen.get(pair.corners[0], {}).values())
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


def _by_alone(alone: Tensor) -> Effects:
    """What patches do as far as what the network says of them (n, classes) tells."""
    return Effects(torch.full((len(alone),), 1 - _LOSS), _PULL * alone)


def _cuts_of(pairs: Sequence[Pair]) -> list[Cut]:
    """Each once."""
    return list(dict.fromkeys(pair.cut for pair in pairs))


def _hope(margin: Collection[float]) -> float:
    return float(_softly(torch.tensor(list(margin))).mean()) if margin else 0.0


def _softly(margin: Tensor) -> Tensor:
    return torch.sigmoid(_SHARPNESS * margin)
