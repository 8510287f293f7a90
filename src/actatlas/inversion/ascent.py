"""How coefficients climb."""

from __future__ import annotations

import torch
from torch import Tensor

_BETAS = 0.9, 0.999
_LAST = 0.05  # of the rate, at the end
_BOUND = 12.0  # standard deviations of the prior: no natural picture has such a coefficient
# Shares of the steps until the full rate, and until the rate begins to fall. A picture that is nearly there starts
# sooner to settle.
_WARM_AND_HOLD = {True: (0.15, 0.3), False: (0.1, 0.2)}


class FlooredAdam:
    """Adam (Kingma and Ba 2015), uphill, each picture for itself, with a floor under each coefficient's scale.

    Plain Adam moves every coefficient at the same pace, also those that do not matter to the objective: they end as a
    texture of noise. A floor in proportion to the picture's mean square gradient leaves them near where they began.
    """

    def __init__(self, coefficients: Tensor, steps: int, rate: float, floor: float, is_new: bool):
        self._steps, self._peak, self._floor = steps, rate, floor
        self._warm, self._hold = _WARM_AND_HOLD[is_new]
        self._step = 0
        self._first = torch.zeros_like(coefficients)
        self._second = torch.zeros_like(coefficients)

    def climb(self, coefficients: Tensor, gradient: Tensor) -> Tensor:
        b1, b2 = _BETAS
        rate = self._rate()
        self._step += 1
        # A picture whose gradient is no number stands still for a step.
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        self._first.lerp_(gradient, 1 - b1)
        self._second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        v = self._second / (1 - b2**self._step)
        floor = self._floor * v.mean(dim=(1, 2, 3, 4), keepdim=True).sqrt() + 1e-12
        step = self._first / v.sqrt_().add_(floor)
        return coefficients.add(step, alpha=rate / (1 - b1**self._step)).clamp_(-_BOUND, _BOUND)

    def _rate(self) -> float:
        done = self._step / self._steps
        warm = min(1.0, (self._step + 1) / (self._warm * self._steps))
        fall = max(0.0, (done - self._hold) / (1 - self._hold))
        return self._peak * warm * (1 - (1 - _LAST) * fall)
