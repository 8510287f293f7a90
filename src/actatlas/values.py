"""What flows from stage to stage: values that say what they hold. numpy only.

Shapes, units and ranges stand here and nowhere else. A place in a map or a photo is (row, column) or (left, top, right,
bottom) as fractions; a place on the atlas is (x, y) in [0, 1], y downwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

LayerForm = Literal["maps", "tokens", "vectors"]
AttributionMethod = Literal["patch-replacement", "mean-replacement", "gradient", "smooth-gradient", "removal"]
ATTRIBUTION_METHODS: tuple[AttributionMethod, ...] = get_args(AttributionMethod)
Examples = Literal["none", "patches", "thumbs", "originals"]
EXAMPLES: tuple[Examples, ...] = get_args(Examples)
Precision = Literal["auto", "float32", "bfloat16", "float16"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a network at its native input size.

    name: dotted module name, `NAME#2` for the second call of a module that is called twice
    type: class name of the module
    shape: (C, H, W); a vector layer has H = W = 1
    form: "maps" (B, C, H, W), "tokens" (B, T, C), "vectors" (B, C)
    stride: input pixels from one position to the next; the input's side for a vector layer
    receptive_field_px: side of the theoretical receptive field in input pixels (may exceed the input)
    recommended: one of half a dozen over the depth that make good atlases
    """

    name: str
    type: str
    shape: tuple[int, int, int]
    form: LayerForm
    stride: int
    receptive_field_px: int
    recommended: bool = False


@dataclass(frozen=True)
class ImageRecord:
    """One image of a source. `path` says where it is (a file, or a name inside a package); `columns` came with it."""

    id: int
    path: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection:
    """Activations that were collected in one go: of these layers, of the photos first … last − 1."""

    layers: tuple[str, ...]
    first: int
    last: int


class ImageSource(Protocol):
    """An ordered, finite list of images. Ids are 0 … len − 1, in the order of `records`.

    spec: what the user typed; how the source is found again
    column_names: further columns that came with the list
    """

    @property
    def spec(self) -> str: ...

    @property
    def column_names(self) -> Sequence[str]: ...

    @property
    def records(self) -> Sequence[ImageRecord]: ...

    def read(self, image_id: int) -> Image.Image:
        """The decoded first frame, upright (EXIF applied), mode RGB; or Bands, for a network of other channels.

        Raises UnreadableImage with a reason; never anything else for a bad file.
        """
        ...


@dataclass(frozen=True)
class Blocks:
    """Photos that are read together, such as a file's row group: what a source may have as its `blocks`.

    Collecting then goes through a few blocks at a time, rather than through all photos in random order.

    starts: (B,) int64, ascending from 0; block b holds the ids from starts[b] to the next one's start
    at_once: how many may be open at a time
    is_stream: they are there one after another only, from the first on
    """

    starts: np.ndarray
    at_once: int
    is_stream: bool = False

    def of(self, image_id: int) -> int:
        return int(np.searchsorted(self.starts, image_id, side="right")) - 1


@dataclass(frozen=True)
class ActivationSet:
    """Activations of one layer, one row per (image, crop, position).

    vectors: (N, C) float16, as the layer gave them (after its non-linearity)
    image_ids: (N,) int64, ids in the image source
    positions: (N, 2) float32, row and column as a fraction of the layer's height and width, in [0, 1)
    boxes: (N, 4) float32, the crop's left, top, right, bottom as fractions of the upright photo
    attributions: (N, classes) float16, what each logit loses when the activation goes; None where there
        are no logits, or where they were not asked for
    """

    vectors: np.ndarray
    image_ids: np.ndarray
    positions: np.ndarray
    boxes: np.ndarray
    attributions: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.vectors)
        _require(self.vectors.ndim == 2, f"vectors are (N, C), not {self.vectors.shape}")
        _require(self.image_ids.shape == (n,), f"image_ids are ({n},), not {self.image_ids.shape}")
        _require(self.positions.shape == (n, 2), f"positions are ({n}, 2), not {self.positions.shape}")
        _require(self.boxes.shape == (n, 4), f"boxes are ({n}, 4), not {self.boxes.shape}")
        if self.attributions is not None:
            _require(
                self.attributions.ndim == 2 and len(self.attributions) == n,
                f"attributions are ({n}, classes), not {self.attributions.shape}",
            )

    def __len__(self) -> int:
        return len(self.vectors)

    def taken(self, rows: np.ndarray) -> ActivationSet:
        """Some of the rows, in the order given."""
        attributions = None if self.attributions is None else self.attributions[rows]
        return ActivationSet(
            self.vectors[rows], self.image_ids[rows], self.positions[rows], self.boxes[rows], attributions
        )

    @staticmethod
    def joined(parts: Sequence[ActivationSet]) -> ActivationSet:
        """The rows of all parts, one after another; there is at least one part."""
        attributions = [part.attributions for part in parts if part.attributions is not None]
        return ActivationSet(
            np.concatenate([part.vectors for part in parts]),
            np.concatenate([part.image_ids for part in parts]),
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate(attributions) if attributions else None,
        )


@dataclass(frozen=True)
class Layout:
    """points: (N, 2) float32, x and y in [0, 1], y downwards; NaN for activations beyond the percentile cut."""

    points: np.ndarray

    def __post_init__(self) -> None:
        _require(self.points.ndim == 2 and self.points.shape[1] == 2, f"points are (N, 2), not {self.points.shape}")
        inside = self.points[~np.isnan(self.points).any(axis=1)]
        _require(bool(((inside >= 0) & (inside <= 1)).all()), "points lie in [0, 1]²")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def is_placed(self) -> np.ndarray:
        """(N,) bool: not cut off."""
        return ~np.isnan(self.points).any(axis=1)


@dataclass(frozen=True)
class Cells:
    """The kept cells of one grid, row-major, row 0 on top.

    side: cells along an edge of the grid
    coordinates: (K, 2) int32, column and row; column = min(floor(x·side), side − 1)
    counts: (K,) int64 activations; image_counts: (K,) int64 distinct photos
    means: (K, C) float32, averages of the stored vectors
    cohesion: (K,) float32, mean cosine of members to the cell's mean, both less the layer's mean
    member_offsets: (K + 1,) int64 into member_rows: (M,) int64 rows of the ActivationSet, ascending within a cell
    example_rows: (K, E) int64, the members nearest the mean first, one a photo, −1 where there are fewer
    attributions: (K, classes) float32, mean over members, or None
    dropped_count: activations in cells with too few photos; cut_count: activations beyond the percentile cut
    """

    side: int
    coordinates: np.ndarray
    counts: np.ndarray
    image_counts: np.ndarray
    means: np.ndarray
    cohesion: np.ndarray
    member_offsets: np.ndarray
    member_rows: np.ndarray
    example_rows: np.ndarray
    attributions: np.ndarray | None
    dropped_count: int
    cut_count: int

    def __post_init__(self) -> None:
        k = len(self.coordinates)
        for name in ("counts", "image_counts", "means", "cohesion", "example_rows"):
            _require(len(getattr(self, name)) == k, f"{name}: one row a cell, {k}, not {len(getattr(self, name))}")
        _require(len(self.member_offsets) == k + 1, f"member_offsets are ({k + 1},)")

    def __len__(self) -> int:
        return len(self.coordinates)

    def members(self, k: int) -> np.ndarray:
        return self.member_rows[self.member_offsets[k] : self.member_offsets[k + 1]]

    def of_rows(self, count: int) -> np.ndarray:
        """(count,) int64: of each row of the ActivationSet its cell, −1 where it is a member of none."""
        found = np.full(count, -1, np.int64)
        found[self.member_rows] = np.repeat(np.arange(len(self)), self.counts)
        return found


@dataclass(frozen=True)
class CellAttributions:
    """What the cells of one grid speak for, where not every activation carries attributions but some of each cell do.

    attributions: (K, classes) float32, weighted means over those, estimates of the mean over all members
    errors: (K, classes) float16, their standard errors; NaN where a single member cannot tell
    photos: (K,) int64, distinct photos that those come from
    """

    attributions: np.ndarray
    errors: np.ndarray
    photos: np.ndarray

    def __post_init__(self) -> None:
        _require(self.attributions.shape == self.errors.shape, f"an error for each of {self.attributions.shape}")
        _require(self.photos.shape == (len(self.attributions),), f"photos are ({len(self.attributions)},)")


@dataclass(frozen=True)
class ColourStatistics:
    """Colour of the photos themselves, in [0, 1]: what an icon's prior is made of.

    mean: (3,) float32, RGB; or the network's own channels, where it takes others
    covariance: (3, 3) float32, or of those channels
    """

    mean: np.ndarray
    covariance: np.ndarray

    def in_channels(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean (count,) and covariance (count, count), float64; one channel is the mean of three."""
        mean, covariance = np.asarray(self.mean, np.float64), np.asarray(self.covariance, np.float64)
        if count == 1 and len(mean) == 3:
            grey = np.full(3, 1 / 3)
            mean, covariance = np.array([mean @ grey]), np.array([[grey @ covariance @ grey]])
        _require(len(mean) == count, f"colours of {len(mean)} channels, not {count}")
        return mean, covariance


@dataclass(frozen=True)
class Icons:
    """Pictures and how well they answer.

    pixels: (K, S, S, 3) uint8
    cosine: (K,) float32, between the layer's answer at the icon's centre and the target, both less the layer's mean
    rank: (K,) int32, how many targets have a higher such cosine; 0 is "identified"
    shifted_cosine: (K,) float32, the mean cosine over shifts of ± 8 px and scales of 0.9 and 1.1
    """

    pixels: np.ndarray
    cosine: np.ndarray
    rank: np.ndarray
    shifted_cosine: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Expectation:
    """What photos look like, given a layer's activation at their centre: linear, learnt from photos.

    layers: of the network, whose answers all over the patch are part of a look; the pixels' own group comes first
    group_counts: how many of the F numbers of a look each group has, pixels first
    explained: of each group, the share of its variance that an activation explains on photos held out
    basis: (C, R) float32, what of an activation tells most; weights: (R, F) float16, what it tells, in units of scale
    offset, scale: (F,) float32, scale the usual deviation of each number
    """

    layers: tuple[str, ...]
    group_counts: tuple[int, ...]
    explained: tuple[float, ...]
    basis: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    scale: np.ndarray

    def __post_init__(self) -> None:
        count, rank = sum(self.group_counts), self.basis.shape[-1]
        _require(self.basis.ndim == 2 and self.weights.shape == (rank, count), f"weights are ({rank}, {count})")
        _require(self.offset.shape == self.scale.shape == (count,), f"offset and scale are ({count},)")
        _require(len(self.group_counts) == len(self.layers) + 1, "a group for the pixels and one a layer")

    def looks(self, centred: np.ndarray, emphasis: float = 1.0) -> np.ndarray:
        """(n, F) float32 expected of activations (n, C), less the layer's mean.

        emphasis: what these differ in from the usual look is taken so many times
        """
        return np.asarray(centred, np.float32) @ self.basis @ self._told * np.float32(emphasis) + self.offset

    @cached_property
    def _told(self) -> np.ndarray:
        return self.weights.astype(np.float32) * self.scale
