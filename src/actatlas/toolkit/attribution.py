"""What in one photo speaks for a class: where, and in which channels; each tried by taking it away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from actatlas.bands import Bands, false_colours
from actatlas.collect import attribute
from actatlas.errors import UsageError
from actatlas.networks import Recording, likeliest
from actatlas.toolkit.drawing import show_channels, show_spatial
from actatlas.toolkit.painting import paint_directions
from actatlas.toolkit.result import Result
from actatlas.toolkit.sheet import Leaf
from actatlas.toolkit.studio import Seen, Studio, studio_of

MOST_CHANNELS = 12  # with icons, of either sign
_COPIES = 8  # of the photo, in one pass
_PATH_STEPS = 32  # from the mean to the photo
_MOST_ACROSS = 28  # positions along a side whose attribution is measured
_SHARES = 0.05, 0.1, 0.2, 0.4
_STRONG = 16


@dataclass(frozen=True)
class Question:
    """target: the class; other: what it is set against, or None. indices: of both in the logits"""

    target: str
    other: str | None
    indices: tuple[int, int | None]

    @property
    def title(self) -> str:
        return self.target if self.other is None else f"{self.target} rather than {self.other}"

    def value(self, logits: Tensor) -> Tensor:
        """(…, classes) → (…): the class's logit, less the other's."""
        index, other = self.indices
        return logits[..., index] if other is None else logits[..., index] - logits[..., other]


@dataclass(frozen=True)
class Removal:
    """Proof by taking away: what the logit loses when the parts with the highest attribution become the layer's mean.

    shares: (n,) how much of the layer is taken away: channels, or patches of positions as large as those measured
    highest: (n,) what is lost; random: (n,) the same of about as much at random, the mean of eight sets
    """

    shares: np.ndarray
    highest: np.ndarray
    random: np.ndarray

    def to_json(self) -> list[dict[str, float]]:
        rows = zip(self.shares.tolist(), self.highest.tolist(), self.random.tolist(), strict=True)
        return [{"share": s, "lost_highest": round(h, 4), "lost_random": round(r, 4)} for s, h, r in rows]


@dataclass(frozen=True)
class Attribution(Result):
    """What in a photo speaks for a class, as a layer has it.

    photo: as the network sees it; question: for which class; logit: of it, of this photo, less the other's
    top: the network's five likeliest classes and their probabilities
    values: the attribution of each part; removal: these tried by taking them away
    """

    name: str
    photo: Image.Image
    spec: str
    layer: str
    question: Question
    logit: float
    top: tuple[tuple[str, float], ...]
    values: np.ndarray
    removal: Removal

    def to_json(self) -> dict[str, Any]:
        return {
            "photo": self.name, "model": self.spec, "layer": self.layer, "target": self.question.target,
            "versus": self.question.other, "logit": round(self.logit, 4),
            "top": [{"class": name, "probability": round(p, 4)} for name, p in self.top],
            "removal": self.removal.to_json(),
        }  # fmt: skip


@dataclass(frozen=True)
class SpatialAttribution(Attribution):
    """Where in a photo a layer speaks for a class.

    values: (rows, columns) float32: what the logit loses when the activation there, with those around it as far as the
        patch that it answers to (`window` positions), becomes the layer's mean
    """

    window: int

    def table(self) -> pd.DataFrame:
        """One row a position: row and column of `values`, and its attribution."""
        rows, columns = np.indices(self.values.shape)
        return pd.DataFrame({"row": rows.ravel(), "column": columns.ravel(), "attribution": self.values.ravel()})

    def leaf(self) -> Leaf:
        return show_spatial(self)

    def to_json(self) -> dict[str, Any]:
        values = [[round(float(v), 4) for v in row] for row in self.values]
        return super().to_json() | {"window": self.window, "values": values}


@dataclass(frozen=True)
class ChannelAttribution(Attribution):
    """Which channels of a layer speak for a class in a photo, and which against it.

    values: (C,) float32, by integrated gradients from the layer's mean to the photo (Sundararajan et al. 2017): their
        sum is `difference`, the logit less that of the mean everywhere, but for `unexplained`
    channels: (n,) those with icons, those that speak most for the class first; icons: (n, S, S, 3) uint8
    maps: (n, H, W) float32, what each of these answers over the photo
    """

    difference: float
    channels: np.ndarray
    icons: np.ndarray
    maps: np.ndarray

    @property
    def unexplained(self) -> float:
        return self.difference - float(self.values.sum())

    def table(self) -> pd.DataFrame:
        """One row a channel, those that speak most for the class first."""
        order = np.argsort(-self.values, kind="stable")
        return pd.DataFrame({"channel": order, "attribution": self.values[order]})

    def leaf(self) -> Leaf:
        return show_channels(self)

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {
            "difference": round(self.difference, 4), "unexplained": round(self.unexplained, 4),
            "channels": [{"channel": int(c), "attribution": round(float(self.values[c]), 4)} for c in self.channels],
        }  # fmt: skip


def spatial_attribution(
    subject: Any,
    photo: str | Path | Image.Image | Bands,
    layer: str,
    target: str | int,
    *,
    versus: str | int | None = None,
    photos: Any = None,
) -> SpatialAttribution:
    """Where a photo speaks for a class, or for one class rather than another, as a layer has it.

    subject, photos: see Studio; target, versus: classes by name, part of a name, WordNet id or index
    Of maps larger than 28 × 28 evenly spaced positions are measured.
    Raises UnreadableImage, LayerNotFound, UnknownClass, NetworkError for a network without logits, UsageError for a
    layer without positions.
    """
    studio = studio_of(subject, photos)
    question = _question(studio, target, versus)
    info = studio.network.layer(layer)
    if info.shape[1:] == (1, 1):
        raise UsageError(f"{info.name} has one position: choose a layer with a map, or ask for its channels")
    seen, levels = studio.see(photo), studio.levels(info.name)
    baseline = torch.from_numpy(levels.baseline)
    with torch.no_grad():
        recording = _recorded(studio, seen, info.name)
        places = _lattice(recording.maps[info.name].shape[2:])  # (rows, columns, 2) fractions
        flat, found = torch.from_numpy(places.reshape(-1, 2)), []
        with studio.progress.stage("Taking patches away", len(flat), "places") as tick:
            for batch in flat.split(_COPIES):
                whole = torch.cat([batch, batch[:1].expand(_COPIES - len(batch), 2)])
                lost = attribute(recording, info.name, whole, "patch-replacement", baseline, levels.window)
                found.append(question.value(lost)[: len(batch)].cpu())
                tick(len(batch))
        values = torch.cat(found).reshape(places.shape[:2]).numpy()
        masks = _windows(places.reshape(-1, 2), recording.maps[info.name].shape[2:], levels.window)
        removal = _tried(recording, info.name, question, baseline, _Parts(masks, values.ravel()), studio.seed)
    asked = _asked(studio, seen, info.name, question, recording)
    return SpatialAttribution(**asked, values=values, removal=removal, window=levels.window)


def channel_attribution(
    subject: Any,
    photo: str | Path | Image.Image | Bands,
    layer: str,
    target: str | int,
    *,
    versus: str | int | None = None,
    count: int = 5,
    photos: Any = None,
) -> ChannelAttribution:
    """Which channels of a layer speak for a class in a photo, with icons of the `count` that do most, and of as many
    that speak most against it. The rest as `spatial_attribution`.
    """
    studio = studio_of(subject, photos)
    if not 0 <= count <= MOST_CHANNELS:
        raise UsageError(f"{count} channels cannot be; ask for 0 to {MOST_CHANNELS}")
    question = _question(studio, target, versus)
    info = studio.network.layer(layer)
    seen, baseline = studio.see(photo), torch.from_numpy(studio.levels(info.name).baseline)
    with torch.no_grad():
        recording = _recorded(studio, seen, info.name)
        maps = recording.maps[info.name][:1]  # (1, C, H, W)
    values, difference = _along_the_path(recording, info.name, question, maps, baseline)
    with torch.no_grad():
        removal = _tried(recording, info.name, question, baseline, _Parts(_channels(len(values)), values), studio.seed)
    order = np.argsort(-values, kind="stable")
    count = min(count, len(values) // 2)
    shown = np.concatenate([order[:count], order[len(order) - count :]])
    return ChannelAttribution(
        **_asked(studio, seen, info.name, question, recording), values=values, removal=removal, difference=difference,
        channels=shown, icons=channel_icons(studio, info.name, shown), maps=maps[0, shown].float().cpu().numpy(),
    )  # fmt: skip


def channel_icons(studio: Studio, layer: str, channels: np.ndarray) -> np.ndarray:
    """(n, S, S, 3) uint8, one picture of each channel."""
    ground = studio.ground(layer)
    if len(channels) == 0:
        return np.zeros((0, ground.size_px, ground.size_px, 3), np.uint8)
    directions = np.eye(ground.channel_count, dtype=np.float32)[channels]
    groups = [ground.strongest(ground.scores(along), _STRONG) for along in directions]
    with studio.progress.stage(f"Painting channels of {layer}", len(channels), "icons") as tick:
        pictures, _ = paint_directions(ground, directions, groups, seed=studio.seed)
        tick(len(channels))
    return false_colours(pictures)


# --- inside


def _question(studio: Studio, target: str | int, versus: str | int | None) -> Question:
    names = studio.class_names
    index = names.find(target)
    other = None if versus is None else names.find(versus)
    if index == other:
        raise UsageError(f'"{target}" and "{versus}" are both {names.labels[index]}; name two classes')
    return Question(names.labels[index], None if other is None else names.labels[other], (index, other))


def _recorded(studio: Studio, seen: Seen, layer: str) -> Recording:
    """One photo, several times over, so that as many changes of it are tried at once."""
    return studio.network.record(seen.inputs.repeat(_COPIES, 1, 1, 1), [layer])


def _lattice(map_size: Any) -> np.ndarray:
    """(rows, columns, 2) float64: every position of the map, or evenly spaced ones, as fractions."""
    rows, columns = ((np.arange(n) + 0.5) / n for n in (min(size, _MOST_ACROSS) for size in map_size))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def _windows(places: np.ndarray, map_size: Any, window: int) -> Tensor:
    """(parts, 1, H, W) bool: around each of the places (parts, 2), fractions, as many positions as were measured."""
    rows, columns = (
        (torch.arange(size) - torch.from_numpy(np.floor(at * size))[:, None]).abs() <= window // 2
        for size, at in zip(map_size, places.T, strict=True)
    )
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _channels(count: int) -> Tensor:
    """(parts, C, 1, 1) bool."""
    return torch.eye(count, dtype=torch.bool)[:, :, None, None]


def _along_the_path(
    recording: Recording, layer: str, question: Question, maps: Tensor, baseline: Tensor
) -> tuple[np.ndarray, float]:
    """(C,) integrated gradients, and how far the logit is from that of the mean everywhere."""
    start = baseline.to(maps)[:, None, None].expand_as(maps[0])[None]  # (1, C, H, W)
    shares = (torch.arange(_PATH_STEPS, dtype=maps.dtype, device=maps.device) + 0.5) / _PATH_STEPS
    slope = torch.zeros_like(maps[0])
    for part in shares.split(_COPIES):
        with torch.enable_grad():
            on_the_way = (start + part[:, None, None, None] * (maps - start)).requires_grad_()
            (gradient,) = torch.autograd.grad(question.value(recording.replay(layer, on_the_way)).sum(), on_the_way)
        slope += gradient.sum(dim=0) / _PATH_STEPS
    with torch.no_grad():
        without = question.value(recording.replay(layer, start.repeat(_COPIES, 1, 1, 1)))[0]
        difference = float(question.value(_logits(recording)[0]) - without)
    return (slope * (maps - start)[0]).sum(dim=(1, 2)).float().cpu().numpy(), difference


@dataclass(frozen=True)
class _Parts:
    """masks: (parts, C or 1, H or 1, W or 1) bool; values: (parts,), the attribution of each"""

    masks: Tensor
    values: np.ndarray


def _tried(recording: Recording, layer: str, question: Question, baseline: Tensor, parts: _Parts, seed: int) -> Removal:
    maps = recording.maps[layer]
    other, random = baseline.to(maps)[:, None, None], np.random.default_rng(seed)

    def grown(order: np.ndarray) -> Tensor:
        """(shares, …) bool: the parts in this order, until so much of the layer is taken away."""
        taken = parts.masks[torch.from_numpy(order)].to(torch.uint8).cummax(dim=0).values  # (parts, …)
        area = taken.flatten(1).float().mean(dim=1)
        ends = [min(int((area < share).sum()), len(area) - 1) for share in _SHARES]
        return taken[ends].bool()

    def lost(goes: Tensor) -> Tensor:
        """goes: (copies, …)"""
        without = recording.replay(layer, torch.where(goes.to(maps.device), other, maps))
        return question.value(_logits(recording) - without)

    highest = grown(np.argsort(-parts.values, kind="stable"))
    draws = torch.stack([grown(random.permutation(len(parts.values))) for _ in range(_COPIES)])
    whole = torch.cat([highest, highest[:1].expand(_COPIES - len(highest), *highest.shape[1:])])
    return Removal(
        highest.flatten(1).float().mean(dim=1).numpy(),
        lost(whole)[: len(_SHARES)].cpu().numpy(),
        np.array([float(lost(draws[:, i]).mean()) for i in range(len(_SHARES))]),
    )


def _logits(recording: Recording) -> Tensor:
    """(_COPIES, classes)"""
    assert recording.logits is not None  # the question needs them
    return recording.logits


def _asked(studio: Studio, seen: Seen, layer: str, question: Question, recording: Recording) -> dict[str, Any]:
    """The part of an Attribution that is no matter of how it was found."""
    logits, labels = _logits(recording)[:1], studio.class_names.labels
    return {
        "name": seen.name, "photo": seen.picture, "spec": studio.network.spec, "layer": layer, "question": question,
        "logit": float(question.value(logits[0])), "top": tuple((labels[i], p) for i, p in likeliest(logits)[0]),
    }  # fmt: skip
