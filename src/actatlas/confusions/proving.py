"""The proof: a patch on photos that were fixed beforehand, beside patches that should do nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from actatlas.confusions.pasting import Spot, as_pixels, logits_of, margins, pasted, shrunk, side_px, spots
from actatlas.confusions.photos import Photos, fingerprint
from actatlas.confusions.splicing import Backdrops, Splicing
from actatlas.errors import TooFewImages
from actatlas.networks import Network

PHOTOS = 50  # nearest to the target: half choose size and corner, the other half is scored
_LEAST_PHOTOS = 4
_SHARES = (0.24, 0.32, 0.4)
# Of the choosing half: (photos more, spots left after them); then all of it.
_ROUNDS = ((6, 4), (6, 2))
_FAR = 4.0  # logits: a patch that leaves every photo so far from the target turns none in another corner either
_Z = 1.959964  # 95%

# What is pasted, for a longer side in pixels.
Patch = Callable[[int], Image.Image]


@dataclass(frozen=True)
class Arm:
    """What one patch does. spot: the best of its sizes and corners; rate: share of the scored photos that it turned
    to the target; interval: of the rate, 95% by Wilson (1927)."""

    spot: Spot
    rate: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Proof:
    """scored: how many photos; patch: of the real one; controls: "noise", "grey", "other_patch"; icon: the cell's icon
    in the patch's place; transfer: rate in another network, None where none was asked
    example: path of a scored photo that the patch turns, or of the nearest to it"""

    scored: int
    patch: Arm
    controls: dict[str, Arm]
    icon: Arm
    transfer: float | None
    example: str

    @property
    def effect(self) -> float:
        """What the patch turns beyond the strongest control."""
        return self.patch.rate - max((arm.rate for arm in self.controls.values()), default=0.0)

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> Proof:
        def arm(v: dict) -> Arm:
            return Arm(Spot(**v["spot"]), v["rate"], (v["interval"][0], v["interval"][1]))

        controls = {name: arm(v) for name, v in value["controls"].items()}
        return cls(**(value | {"patch": arm(value["patch"]), "controls": controls, "icon": arm(value["icon"])}))


@dataclass(frozen=True)
class Halves:
    """The photos of one proof. choosing, scoring: rows of `photos`, and their pixels (n, channels, H, W)"""

    photos: Photos
    choosing: np.ndarray
    scoring: np.ndarray
    choosing_pixels: Tensor
    scoring_pixels: Tensor


def halves(photos: Photos, target: int, source: str, tried_on: Sequence[str], seed: int = 0) -> Halves:
    """The 50 photos nearest to the target, without the patch's own; those that the search has tried on only choose.

    source, tried_on: fingerprints. Raises TooFewImages.
    """
    rows: list[int] = []
    pixels: list[Tensor] = []
    prints: list[str] = []
    for row in photos.nearest(target)[: PHOTOS + 1].tolist():
        values = photos.pixels(row)
        name = fingerprint(values)
        if name != source and len(rows) < PHOTOS:
            rows.append(row)
            pixels.append(values)
            prints.append(name)
    if len(rows) < _LEAST_PHOTOS:
        raise TooFewImages(
            f"{len(rows)} photos are left to test a patch on, of {len(photos)}: those that are something else than the "
            f"target, and are seen as what they are; give {_LEAST_PHOTOS} at least, better {PHOTOS}"
        )
    choosing, scoring = _divided(prints, set(tried_on), seed)
    if not scoring:
        raise TooFewImages(
            f"the search has tried patches on all {len(rows)} photos that are left to test on; give others as well"
        )
    stacked, at = torch.stack(pixels), np.array(rows)
    return Halves(photos, at[choosing], at[scoring], stacked[choosing], stacked[scoring])


def _divided(prints: Sequence[str], tried_on: set[str], seed: int) -> tuple[list[int], list[int]]:
    """Of each two neighbours in nearness one chooses and one scores, so that both halves are as hard to turn: the one
    that was tried on chooses, or a lot decides. Where both were, both choose; the last one left over scores."""
    choosing: list[int] = []
    for first in range(0, len(prints) - 1, 2):
        two = [first, first + 1]
        tried = [i for i in two if prints[i] in tried_on]
        lot = hashlib.sha256(f"{seed} half {prints[first]} {prints[first + 1]}".encode()).digest()[0] % 2
        choosing += tried or [two[lot]]
    return choosing, [i for i in range(len(prints)) if i not in choosing]


def prove(
    network: Network,
    choosing: Splicing,
    target: int,
    arms: dict[str, Patch],
    photos: Halves,
    second: Second | None,
) -> Proof:
    """arms: "patch", "icon" and the controls, which all get the same search

    choosing: of the network, or of a quick copy, by which size and corner are chosen
    """
    backdrops = choosing.on(photos.choosing_pixels)
    done = {name: prove_arm(network, backdrops, target, patch, photos) for name, patch in arms.items()}
    patch, icon = done.pop("patch"), done.pop("icon")
    margin = _margins(network, target, arms["patch"], photos.scoring_pixels, patch.spot)
    example = photos.photos.path(int(photos.scoring[int(margin.argmax())]))
    transfer = None if second is None else second.rate(target, arms["patch"], patch.spot, photos)
    return Proof(len(photos.scoring), patch, done, icon, transfer, example)


def prove_arm(network: Network, choosing: Backdrops, target: int, patch: Patch, photos: Halves) -> Arm:
    """Size and corner are chosen on one half of the photos, and the patch is scored on the other."""
    spot = _best_spot(choosing, target, patch)
    turned = _margins(network, target, patch, photos.scoring_pixels, spot) > 0
    return Arm(spot, round(float(turned.float().mean()), 4), wilson(int(turned.sum()), len(turned)))


@dataclass(frozen=True)
class Second:
    """Another network. index: {class of the first: the same class here}, by name"""

    network: Network
    index: dict[int, int]

    @classmethod
    def of(cls, network: Network, names: Sequence[str]) -> Second:
        if network.labels is None:
            same = range(len(names)) if network.class_count == len(names) else ()
            return cls(network, {i: i for i in same})
        here = {label: i for i, label in reversed(list(enumerate(network.labels)))}
        return cls(network, {i: here[name] for i, name in enumerate(names) if name in here})

    def rate(self, target: int, patch: Patch, spot: Spot, photos: Halves) -> float | None:
        """Share of the scored photos, of those that are something else to this network, that the patch turns; None
        where it does not know the class, or takes all for it anyway."""
        if target not in self.index:
            return None
        there, index = photos.photos, self.index[target]
        pixels = torch.stack([self.network.pixels(there.source.read(int(there.ids[row]))) for row in photos.scoring])
        is_other = logits_of(self.network, pixels).argmax(dim=1) != index
        if not is_other.any():
            return None
        turned = _margins(self.network, index, patch, pixels[is_other], spot) > 0
        return round(float(turned.float().mean()), 4)


def wilson(turned: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share: Wilson, "Probable inference", 1927."""
    share, z2 = turned / count, _Z**2 / count
    middle = (share + z2 / 2) / (1 + z2)
    reach = _Z / (1 + z2) * np.sqrt(share * (1 - share) / count + z2 / (4 * count))
    return round(max(float(middle - reach), 0.0), 4), round(min(float(middle + reach), 1.0), 4)


def real(image: Image.Image) -> Patch:
    return lambda side_px: shrunk(image, side_px)


def grey() -> Patch:
    return lambda side_px: Image.new("RGB", (side_px, side_px), (128, 128, 128))


def noise(seed: int) -> Patch:
    """Every pixel of its own, uniform in colour."""

    def drawn(side_px: int) -> Image.Image:
        values = np.random.default_rng((seed, side_px)).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
        return Image.fromarray(values)

    return drawn


def _best_spot(photos: Backdrops, target: int, patch: Patch) -> Spot:
    """By how many photos it turns, then by how nearly it turns the others; poor ones are tried on fewer photos."""
    left = spots(_SHARES)
    margin: dict[Spot, Tensor] = {spot: torch.empty(0) for spot in left}
    start = 0
    for count, kept in (*_ROUNDS, (len(photos), 1)):
        rows = range(start, min(start + count, len(photos)))
        for spot in left:
            if rows:
                patches = _patch_at(photos.network, patch, spot, photos.pixels).expand(len(rows), -1, -1, -1)
                logits = photos.logits(rows, patches, spot.corner)
                margin[spot] = torch.cat([margin[spot], margins(logits, torch.tensor(target))])
        start += count
        left = sorted(left, key=lambda spot: (-int((margin[spot] > 0).sum()), -float(margin[spot].mean())))[:kept]
        if not any(bool((margin[spot] > -_FAR).any()) for spot in left):
            break  # it turns nothing anywhere near: the spot does not matter
    return left[0]


def _margins(network: Network, target: int, patch: Patch, pixels: Tensor, spot: Spot) -> Tensor:
    inputs = pasted(pixels, _patch_at(network, patch, spot, pixels), spot.corner)
    return margins(logits_of(network, inputs), torch.tensor(target))


def _patch_at(network: Network, patch: Patch, spot: Spot, pixels: Tensor) -> Tensor:
    """(channels, h, w) for pixels (…, channels, H, W)."""
    height, width = pixels.shape[-2:]
    return as_pixels(patch(side_px(spot.share, (height, width))), network)
