"""What the collector is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from actatlas.errors import UsageError
from actatlas.values import ATTRIBUTION_METHODS, AttributionMethod, Precision

PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16", "float16")
_LEAST = {
    "crops": 0, "positions": 1, "seed": 0, "shard_images": 1, "batch_size": 1, "attribute_all_up_to": 0,
    "attributed_photos": 2, "attributed_for_average": 2,
}  # fmt: skip


@dataclass(frozen=True)
class CollectSettings:
    """How photos become activations. Part of the fingerprint: a change is another atlas.

    crops: random crops of each photo; 0 takes each photo once, as `network.pixels` gives it
    positions: places in the map of each crop (or photo)
    attribution: how an activation's effect on the logits is estimated; None leaves it out
    precision: "auto" takes the fastest that agrees with float32, measured by the pilot
    seed: of the photos' order, the crops and the positions
    shard_images: photos in one unit of work and one file
    batch_size: inputs in one forward pass; None takes 64, on a CPU 16, or 32 in half precision
    predictions: keep the logits' top 5; without them and without attribution the pass stops at the last wanted layer
    attribute_all_up_to: so many activations a layer all carry attributions; where more are planned, a sample does,
        chosen when the cells are known
    attributed_photos: of each cell, then; one activation of each
    attributed_for_average: activations of all, then, for what an average one speaks for
    """

    crops: int = 0
    positions: int = 1
    attribution: AttributionMethod | None = "patch-replacement"
    precision: Precision = "auto"
    seed: int = 0
    shard_images: int = 256
    batch_size: int | None = None
    predictions: bool = True
    attribute_all_up_to: int = 100_000
    attributed_photos: int = 16
    attributed_for_average: int = 2_000

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if name == "batch_size" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UsageError(f"{name} is {value!r}; give a whole number, {least} or more")
        if self.attribution is not None and self.attribution not in ATTRIBUTION_METHODS:
            raise UsageError(f'attribution "{self.attribution}" is not known; choose {", ".join(ATTRIBUTION_METHODS)}')
        if self.precision not in PRECISIONS:
            raise UsageError(f'precision "{self.precision}" is not known; choose {", ".join(PRECISIONS)}')

    @property
    def crops_per_photo(self) -> int:
        """How many inputs one photo gives: 1 without random crops."""
        return max(self.crops, 1)

    def activation_count(self, photo_count: int) -> int:
        """Of one layer, if all of the photos can be used."""
        return photo_count * self.crops_per_photo * self.positions

    def attributes_a_sample(self, photo_count: int) -> bool:
        """Whether so many listed photos are planned to give more activations than shall all carry attributions."""
        return self.attribution is not None and self.activation_count(photo_count) > self.attribute_all_up_to
