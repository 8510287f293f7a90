"""Pictures of what a channel, a neuron, a direction or a class answers to, beside real photos that it answers to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from actatlas.atlas import clusters_of
from actatlas.bands import Bands, false_colours
from actatlas.errors import UsageError
from actatlas.inversion import InversionSettings
from actatlas.networks import likeliest
from actatlas.preprocessing import patch_box
from actatlas.toolkit.drawing import show_visualisation
from actatlas.toolkit.ground import Ground
from actatlas.toolkit.logits import LOGITS
from actatlas.toolkit.painting import paint_directions, unit
from actatlas.toolkit.result import Result
from actatlas.toolkit.sheet import Leaf
from actatlas.toolkit.studio import Studio, studio_of

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PICTURES = 16
_STRONG = 16  # photos for each picture: those that answer most
_PERCENTILES = 50, 90, 99, 99.9
_LEAST_PX = 48  # of what is shown of a neuron's picture
_VARIED_START = 0.3
_PATCHES = 12


@dataclass(frozen=True)
class Answers:
    """What the photos' activations answer: the scale that a picture's own answer is to be read on.

    mean, highest, lowest; percentiles: {50: …, 90: …, 99: …, 99.9: …}; silent: the share of them that is 0
    """

    mean: float
    lowest: float
    highest: float
    percentiles: dict[float, float]
    silent: float

    @classmethod
    def of(cls, values: np.ndarray) -> Answers:
        found = np.percentile(values, _PERCENTILES).tolist()
        return cls(
            float(values.mean()), float(values.min()), float(values.max()),
            dict(zip(_PERCENTILES, found, strict=True)), float((values == 0).mean()),
        )  # fmt: skip


@dataclass(frozen=True)
class Visualisation(Result):
    """Pictures of one direction of a layer, and the photos' patches that answer most along it.

    title: what it is of; spec, layer: of the network; told: where the photos' numbers come from
    pictures: (n, S, S, channels) uint8; channels are 3, or the network's own where it takes more
    answers: (n,) float32, what each picture answers (float32 network, at the centre or at the neuron's position): the
        channel's value, the class's logit, or the part along a direction beyond the layer's mean
    shares: (n,) of the photos' activations, how many are less strong
    cosines: (n, n) between the pictures' whole answers, less the layer's mean: 1 where two are alike to the layer
    group_sizes: of how many strong photos each picture shows what they have in common
    patches: RGB, one a photo, strongest first; patch_answers: (m,) float32; patch_ids: (m,) ids of their photos
    scale: the photos' answers; is_negative: whether the weakest answers are meant
    box: of a neuron, left, top, right and bottom of the part of a picture that it answers to, in pixels; else None
    top: of a class, for each picture the five likeliest classes and their probabilities, as the network takes the
        picture where it is given as a photo; else empty
    """

    title: str
    spec: str
    layer: str
    told: str
    pictures: np.ndarray
    answers: np.ndarray
    shares: np.ndarray
    cosines: np.ndarray
    group_sizes: tuple[int, ...]
    patches: tuple[Image.Image, ...]
    patch_answers: np.ndarray
    patch_ids: np.ndarray
    scale: Answers
    is_negative: bool = False
    box: tuple[int, int, int, int] | None = None
    top: tuple[tuple[tuple[str, float], ...], ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def images(self) -> list[Image.Image]:
        """RGB, in false colours where the network takes more channels; of a neuron the parts that it answers to."""
        whole = [Image.fromarray(picture) for picture in false_colours(self.pictures)]
        return [image.crop(self.box) if self.box else image for image in whole]

    @property
    def is_silence(self) -> bool:
        """Whether the least was asked of a channel that is never below zero, as after a ReLU, and its least is 0."""
        return self.is_negative and self.scale.lowest == 0 and bool((self.answers >= 0).all())

    def table(self) -> pd.DataFrame:
        """One row a picture."""
        others = self.cosines - 2 * np.eye(len(self))
        return pd.DataFrame(
            {
                "picture": np.arange(len(self)), "answer": self.answers, "share_below": self.shares,
                "photos": self.group_sizes,
                "nearest_cosine": others.max(axis=1) if len(self) > 1 else np.full(len(self), np.nan),
            }
        )  # fmt: skip

    def leaf(self) -> Leaf:
        return show_visualisation(self)

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "title": self.title, "model": self.spec, "layer": self.layer, "photos": self.told,
            "negative": self.is_negative,
            "scale": {
                "mean": self.scale.mean, "lowest": self.scale.lowest, "highest": self.scale.highest,
                "percentiles": {f"{k:g}": v for k, v in self.scale.percentiles.items()},
            },
            "pictures": [
                {"answer": float(a), "share_below": float(s), "photos": n}
                for a, s, n in zip(self.answers, self.shares, self.group_sizes, strict=True)
            ],
            "cosines": [[round(float(v), 4) for v in row] for row in self.cosines],
            "patches": [
                {"photo": int(i), "answer": float(a)}
                for i, a in zip(self.patch_ids, self.patch_answers, strict=True)
            ],
        }  # fmt: skip
        for picture, top in zip(value["pictures"], self.top, strict=False):
            picture["top"] = [{"class": name, "probability": round(p, 4)} for name, p in top]
        return value


def channel(
    subject: Any, layer: str, channel: int, *, count: int = 4, negative: bool = False, photos: Any = None
) -> Visualisation:
    """What makes one channel of a layer answer.

    subject: a Network, an atlas, a spec, or a Studio, which keeps what it learns for the next call
    count: pictures, 1 to 16, each starting from another group of strong photos
    negative: what makes it answer least instead; after a ReLU that is nothing but silence: see `is_silence`
    photos: see Studio
    Raises LayerNotFound, and UsageError for a channel that there is not.
    """
    studio = studio_of(subject, photos)
    _check(studio, layer, channel, count)
    ground = studio.ground(layer)
    title = f"channel {channel} of {ground.layer}"
    return _visualised(studio, ground, title, _one(ground.channel_count, channel), 0.0, count, negative)


def neuron(
    subject: Any,
    layer: str,
    channel: int,
    position: tuple[int, int] | None = None,
    *,
    count: int = 4,
    photos: Any = None,
) -> Visualisation:
    """The same at one position, (row, column), of the layer's map, on a picture as large as the network's input.

    position: None takes the middle
    Raises what `channel` does, and UsageError for a position that there is not.
    """
    studio = studio_of(subject, photos)
    _check(studio, layer, channel, count)
    height, width = studio.network.layer(layer).shape[1:]
    row, column = position or (height // 2, width // 2)
    ground = studio.ground_of_neuron(layer, (row, column))
    title = f"neuron {row},{column} of channel {channel} of {ground.layer}"
    found = _visualised(studio, ground, title, _one(ground.channel_count, channel), 0.0, count, False)
    middle = (row + 0.5) / height, (column + 0.5) / width
    side_px = max(ground.patch_px, min(_LEAST_PX, ground.size_px))
    return replace(found, box=patch_box(middle, side_px, (height, width), (ground.size_px,) * 2))


def direction(
    subject: Any, layer: str, vector: np.ndarray, *, title: str = "a direction", count: int = 4, photos: Any = None
) -> Visualisation:
    """The same of any direction (C,): a cell's mean less the layer's, the difference of two cells, a probe, a feature
    of a sparse autoencoder. Raises UsageError for what is no direction of this layer.
    """
    studio = studio_of(subject, photos)
    info = studio.network.layer(layer)
    along = unit(vector, info.name, info.shape[0])
    _check(studio, layer, 0, count)
    ground = studio.ground(layer)
    of = f"{title} of {ground.layer}"
    return _visualised(studio, ground, of, along, float(ground.mean @ along), count, False)


def class_picture(
    subject: Any, name: str | int, *, count: int = 4, px: int | None = None, photos: Any = None
) -> Visualisation:
    """What makes the logit of a class grow: the whole network is climbed. `layer` of what is given is "logits".

    name: the class, as for class atlases
    px: side of the pictures in pixels; None takes the network's input, the size at which they are taken for their class
        most surely
    Raises UnknownClass, NetworkError for a network without logits.
    """
    studio = studio_of(subject, photos)
    names = studio.class_names
    index = names.find(name)
    _check_count(count)
    ground = studio.ground_of_logits(min(studio.network.preprocessing.input_px) if px is None else px)
    title = names.labels[index]
    found = _visualised(studio, ground, title, _one(ground.channel_count, index), 0.0, count, False)
    return replace(found, top=_taken_for(studio, found.pictures, names.labels))


# --- inside


def _visualised(
    studio: Studio,
    ground: Ground,
    title: str,
    along: np.ndarray,
    offset: float,
    count: int,
    is_negative: bool,
) -> Visualisation:
    """along: (C,) of length 1; offset: of it is taken from what is answered along it"""
    sign = -1.0 if is_negative else 1.0
    values = ground.scores(along) - np.float32(offset)
    rows = ground.strongest(sign * values, max(_STRONG * count, _PATCHES))
    groups, start = _groups(ground, rows[: _STRONG * count], count, studio.seed), InversionSettings().start
    if ground.layer == LOGITS:
        # Few photos are of one class: groups of others would be pictures of those. Starts differ in their place.
        is_strong = values[rows] >= (values.mean() + values.max()) / 2
        groups, start = [rows[is_strong]] * count, _VARIED_START
    directions = np.repeat(sign * along[None], len(groups), axis=0).astype(np.float32)
    with studio.progress.stage(f"Painting {title}", len(groups), "pictures") as tick:
        pictures, answered = paint_directions(ground, directions, groups, start, studio.seed)
        tick(len(groups))
    answers = (answered @ along - offset).astype(np.float32)
    beyond = answered - ground.mean
    beyond /= np.maximum(np.linalg.norm(beyond, axis=1, keepdims=True), 1e-12)
    shown = rows[:_PATCHES]
    return Visualisation(
        title=title, spec=studio.network.spec, layer=ground.layer, told=ground.told,
        pictures=pictures, answers=answers,
        shares=np.array([(sign * values < sign * answer).mean() for answer in answers], np.float32),
        cosines=beyond @ beyond.T, group_sizes=tuple(len(group) for group in groups),
        patches=tuple(ground.patches(shown.tolist())), patch_answers=values[shown],
        patch_ids=ground.image_ids[shown], scale=Answers.of(values), is_negative=is_negative,
    )  # fmt: skip


def _groups(ground: Ground, rows: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """The strong activations in up to `count` clusters, the largest first."""
    count = min(count, len(rows))
    if count < 2:
        return [rows]
    clusters = clusters_of(ground.vectors(rows) - ground.mean, count, seed)
    parts = [rows[clusters == c] for c in range(clusters.max() + 1)]
    return sorted(parts, key=len, reverse=True)


def _taken_for(
    studio: Studio, pictures: np.ndarray, labels: Sequence[str]
) -> tuple[tuple[tuple[str, float], ...], ...]:
    """What the network says of each picture where it comes as a photo does."""
    network = studio.network
    as_photo = Bands if pictures.shape[-1] > 3 else Image.fromarray
    pixels = torch.stack([network.pixels(as_photo(picture)) for picture in pictures])
    with torch.no_grad():
        found = likeliest(network.logits(network.normalize(pixels)))
    return tuple(tuple((labels[i], p) for i, p in row) for row in found)


def _one(count: int, index: int) -> np.ndarray:
    found = np.zeros(count, np.float32)
    found[index] = 1
    return found


def _check(studio: Studio, layer: str, channel: int, count: int) -> None:
    info = studio.network.layer(layer)
    if not 0 <= channel < info.shape[0]:
        raise UsageError(f"{info.name} has channels 0 to {info.shape[0] - 1}, not {channel}")
    _check_count(count)


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_PICTURES:
        raise UsageError(f"{count} pictures cannot be; ask for 1 to {MOST_PICTURES}")
