"""How much one activation moves each class's logit: what the logit loses when the activation goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from actatlas.errors import NetworkError
from actatlas.values import AttributionMethod

if TYPE_CHECKING:
    from actatlas.networks import Recording

GRADIENTS = ("gradient", "smooth-gradient")  # methods that a recording should be made for_derivatives for


def attribute(
    recording: Recording, layer: str, positions: Tensor, method: AttributionMethod, baseline: Tensor, window: int = 1
) -> Tensor:
    """Effect of each input's activation at `positions` on every class logit, all classes in one replay.

    positions: (B, 2), row and column as fractions of the map
    baseline: (C,), what mean and patch replacement put in the activation's place
    window: odd; side, in positions, of what patch replacement replaces
    Returns (B, classes) float32.

    "patch-replacement": logits − logits with the activation and those around it, as far as the patch that it answers
    to, replaced by `baseline`; "mean-replacement": with the activation alone replaced; "removal": the same by zero;
    "gradient": h · ∂logit_c/∂h, a first-order estimate (Olah et al. 2018, "Building Blocks"), by forward-mode
    differentiation along h (Griewank and Walther 2008, ch. 3), exact where the network is; "smooth-gradient": the same
    with a smoothed slope of max-pooling, as the Activation Atlas has it (networks/forward_mode.py).
    Raises NetworkError for "smooth-gradient" where an operation has no forward-mode rule.
    """
    maps = recording.maps[layer]  # (B, C, H, W)
    place = _index(positions.to(maps.device), maps)
    if method in GRADIENTS:
        return _gradient(recording, layer, maps, place, smooth_pooling=method == "smooth-gradient")
    other = torch.zeros_like(maps[0, :, 0, 0]) if method == "removal" else baseline.to(maps)
    goes = _around(place, maps, window // 2 if method == "patch-replacement" else 0)
    without = recording.replay(layer, torch.where(goes, other[:, None, None], maps))
    assert recording.logits is not None  # replay refuses a network without logits
    return (recording.logits - without).float()


def _gradient(
    recording: Recording, layer: str, maps: Tensor, place: tuple[Tensor, Tensor, Tensor], smooth_pooling: bool
) -> Tensor:
    tangent = torch.zeros_like(maps)
    tangent[place[0], :, place[1], place[2]] = maps[place[0], :, place[1], place[2]]
    try:
        slope = recording.derivative(layer, tangent, smooth_pooling)
    except NotImplementedError:  # an operation without a forward-mode rule
        if smooth_pooling:
            raise NetworkError(
                "the network holds an operation without a forward-mode rule, so max-pooling cannot be smoothed; "
                "ask for --attribution gradient"
            ) from None
        slope = _by_two_reverse_passes(recording, layer, maps, tangent)
    return slope.float()


def _by_two_reverse_passes(recording: Recording, layer: str, maps: Tensor, tangent: Tensor) -> Tensor:
    """The logits' derivative along `tangent`: g(u) = Jᵀu is linear in u, so ∂(g·t)/∂u = J t (Townsend 2017)."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        h = maps.detach().clone().requires_grad_()
        logits = recording.replay(layer, h)
        u = torch.zeros_like(logits, requires_grad=True)
        (g,) = torch.autograd.grad(logits, h, u, create_graph=True, allow_unused=True)
        if g is None or not g.requires_grad:
            return torch.zeros_like(logits)
        (slope,) = torch.autograd.grad(g, u, tangent, allow_unused=True)
    return torch.zeros_like(logits) if slope is None else slope


def _around(place: tuple[Tensor, Tensor, Tensor], maps: Tensor, reach: int) -> Tensor:
    """(B, 1, H, W) bool: positions at most `reach` rows and columns from each input's activation."""
    _, rows, columns = (index[:, None, None] for index in place)
    down, across = (torch.arange(size, device=maps.device) for size in maps.shape[2:])
    return (((down[:, None] - rows).abs() <= reach) & ((across - columns).abs() <= reach))[:, None]


def _index(positions: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Input, row and column of each activation: floor(position · size)."""
    size = torch.tensor(maps.shape[2:], device=maps.device)
    cells = torch.minimum((positions.double() * size).floor().long(), size - 1)  # (B, 2)
    return torch.arange(len(maps), device=maps.device), cells[:, 0], cells[:, 1]
