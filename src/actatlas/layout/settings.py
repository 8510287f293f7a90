"""What a layout depends on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from actatlas.errors import UsageError
from actatlas.layout.foreign import require_layout


@dataclass(frozen=True)
class LayoutSettings:
    """How activations become points. Part of the fingerprint: a change redoes the layout.

    method: None or "landmarks": UMAP, of landmarks first and of everybody from there where there are more than 3,000;
        "umap": of everybody at once; "tsne"; "torchdr" or "cuml": UMAP on a GPU; or a plug-in's name (decision 0016)
    neighbors: of each activation, by cosine, of other photos
    min_dist: how near points may come, in units of UMAP's layout before scaling
    align: regions keep their places from layer to layer; False lays out each layer alone
    pull: how strongly an aligned layer's regions are held to their places in its neighbours, 0 to 1; None takes 0.6
        from landmarks, and 0.4 of everybody at once, whom more would cost too much of a layer's order (decision 0003)
    epochs: passes over the graph of a layer laid out alone; an aligned layer's phases take half and three quarters
    cut_percentile, margin: the map spans `cut_percentile` to 100 less it, on each axis, and `margin` of that span more
        on each side; points beyond are cut off
    """

    method: str | None = None
    neighbors: int = 20
    min_dist: float = 0.05
    align: bool = True
    pull: float | None = None
    epochs: int = 200
    seed: int = 0
    cut_percentile: float = 1.0
    margin: float = 0.1

    def __post_init__(self) -> None:
        for name, is_possible, allowed in (
            ("neighbors", self.neighbors >= 1, "at least 1"),
            ("min_dist", 0 <= self.min_dist <= 1, "from 0 to 1"),
            ("pull", self.pull is None or 0 <= self.pull <= 1, "from 0 to 1"),
            ("epochs", self.epochs >= 4, "at least 4"),
            ("cut_percentile", 0 <= self.cut_percentile < 50, "at least 0 and below 50"),
            ("margin", self.margin >= 0, "at least 0"),
        ):
            if not is_possible:
                raise UsageError(f"layout: {name} must be {allowed}, not {getattr(self, name)}", setting=name)
        if self.method is not None:
            require_layout(self.method)

    def seed_of(self, item: str) -> int:
        """32 bits for one use of randomness, such as a layer's name."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/layout/{item}".encode()).digest()[:4], "little")
