"""What a patch does to any photo: seen on a few, and foretold of patches that were not tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_RIDGE = 0.1
_TOGETHER = 4096
_TINY = 1e-6  # in place of 0, where all are the same


@dataclass(frozen=True)
class Effects:
    """What each of n patches does to any photo: its logits become kept · logits + gained.

    kept: (n,); gained: (n, classes)
    """

    kept: Tensor
    gained: Tensor

    def of(self, chosen: np.ndarray) -> Effects:
        return Effects(self.kept[chosen], self.gained[chosen])

    def and_those(self, others: Effects) -> Effects:
        return Effects(torch.cat([self.kept, others.kept]), torch.cat([self.gained, others.gained]))

    def on(self, logits: Tensor) -> Tensor:
        """(photos, classes) → (n, photos, classes)"""
        return torch.addcmul(self.gained[:, None], self.kept[:, None, None], logits)


def effects_of(before: Tensor, after: Tensor) -> Effects:
    """`kept` is the slope of the logits after on those before, of their differences between the photos.

    before: (photos, classes); after: (n, photos, classes), with each of n patches on the same photos
    """
    differing = before - before.mean(dim=0)
    kept = (after * differing).sum(dim=(1, 2)) / (differing**2).sum().clamp(min=_TINY)
    return Effects(kept, after.mean(dim=1) - kept[:, None] * before.mean(dim=0))


def forecast(alone: Tensor, chosen: np.ndarray, seen: Effects) -> Effects:
    """What all patches do, from what they give alone and what some of them are seen to do, beside a common multiple of
    what they give alone.

    alone: (n, classes); chosen: (m,) of the n, which `seen` is of
    """
    known = alone[chosen]
    away = known - known.mean(dim=0)
    pull = float((away * (seen.gained - seen.gained.mean(dim=0))).sum() / (away**2).sum().clamp(min=_TINY))
    rest = torch.cat([seen.gained - pull * known, seen.kept[:, None]], dim=1)
    found = foretold(alone, chosen, rest)
    kept, gained = found[:, -1], found[:, :-1] + pull * alone
    kept[chosen], gained[chosen] = seen.kept, seen.gained
    return Effects(kept, gained)


def foretold(features: Tensor, chosen: np.ndarray, values: Tensor) -> Tensor:
    """(n, k) from the values (m, k) of the chosen (m,) of n, by their features (n, d): kernel ridge regression with a
    Gaussian kernel (Saunders et al. 1998)."""
    known = features[chosen]
    width = 2 * ((known - known.mean(dim=0)) ** 2).sum(dim=1).mean().clamp(min=_TINY)
    mean = values.mean(dim=0)

    def kernel(part: Tensor) -> Tensor:
        return torch.exp(-(torch.cdist(part, known) ** 2) / width)

    weights = torch.linalg.solve(kernel(known) + _RIDGE * torch.eye(len(known)), values - mean)
    return torch.cat([kernel(part) @ weights + mean for part in features.split(_TOGETHER)])
