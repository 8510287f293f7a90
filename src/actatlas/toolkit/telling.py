"""What is said beside the toolkit's pictures, on a sheet and on a page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actatlas.lettering import without_folders

if TYPE_CHECKING:
    from actatlas.toolkit.attribution import Attribution, ChannelAttribution, Removal, SpatialAttribution
    from actatlas.toolkit.grids import ActivationGrid, LayerGrid
    from actatlas.toolkit.visualising import Visualisation


def heading(found: Visualisation) -> str:
    return f"{found.title}{', as weak as can be' if found.is_negative else ''} · {without_folders(found.spec)}"


def scale_line(found: Visualisation) -> str:
    of = found.scale
    parts = ", ".join(f"{k:g}% below {v:.2f}" for k, v in of.percentiles.items())
    return f"Photos' activations answer {of.mean:.2f} on average, {of.lowest:.2f} to {of.highest:.2f}; {parts}."


def silence_lines(found: Visualisation) -> list[str]:
    """Said where the least of a channel is nothing but silence; else nothing."""
    if not found.is_silence:
        return []
    return [
        "The channel is below zero at none of these activations, as after a ReLU: the least that it can do is be "
        f"silent, as at {found.scale.silent:.0%} of them, so the pictures show what some of those have in common, and "
        "nothing that the channel is against."
    ]


def picture_lines(found: Visualisation, i: int) -> tuple[str, ...]:
    if found.top:
        name, probability = found.top[i][0]
        return f"logit {found.answers[i]:.1f}", f"taken for {name}", f"with {probability:.0%}"
    beyond = "beyond all of the photos'" if found.shares[i] >= 1 else f"beyond {found.shares[i]:.1%} of the photos'"
    return f"answers {found.answers[i]:.2f}", beyond


def layer_line(layer: LayerGrid) -> str:
    rows, columns = layer.shape
    groups = f", {len(layer)} groups" if layer.memberships is not None else ""
    averaged = f", each the average of {layer.averaged} by {layer.averaged} positions" if layer.averaged > 1 else ""
    return f"{layer.layer}: {rows} by {columns}{averaged}{groups}"


def grid_lines(found: ActivationGrid) -> list[str]:
    if any(layer.memberships is not None for layer in found.layers):
        return [
            "Each icon stands for a group of channels that answer together; beside it the photo, in colour where the "
            "group answers. The share is how much of all activations the group makes up."
        ]
    return [
        "Each icon shows what one position answers, and is as large as that differs from the layer's mean. Painted: no "
        "part of the photo. At the edges a position answers to the picture's end, too."
    ]


def spatial_lines(found: SpatialAttribution) -> list[str]:
    return [
        _taken(found),
        f"What the logit loses when {found.window} by {found.window} positions become the layer's mean: "
        f"{found.values.min():+.2f} to {found.values.max():+.2f}. Neighbours overlap: the values do not add up.",
        removal_line(found.removal, "places"),
    ]


def channels_lines(found: ChannelAttribution) -> list[str]:
    return [
        _taken(found),
        f"The logit is {found.difference:+.2f} from that of the layer's mean everywhere; the channels' parts add up to "
        f"{found.values.sum():+.2f}.",
        removal_line(found.removal, "channels"),
    ]


def removal_line(removal: Removal, parts: str) -> str:
    rows = zip(removal.shares, removal.highest, removal.random, strict=True)
    # Of few parts some shares are the same parts.
    told = dict.fromkeys(f"{share:.0%}: {highest:+.2f} (random {random:+.2f})" for share, highest, random in rows)
    return f"Tried: what the logit loses without the {parts} that speak most for it: {'; '.join(told)}."


def _taken(found: Attribution) -> str:
    name, probability = found.top[0]
    what = "logit" if found.question.other is None else "difference of the logits"
    return f"Taken for {name} ({probability:.0%}); {what} of {found.question.title}: {found.logit:+.2f}."
