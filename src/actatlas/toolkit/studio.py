"""A network, the photos that its pictures are to look like, and what was learnt from these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from actatlas.atlas import ClassNames
from actatlas.bands import Bands
from actatlas.errors import UsageError
from actatlas.images import open_source
from actatlas.inversion import require_paintable
from actatlas.networks import Network, load_network
from actatlas.progress import Progress, Silent
from actatlas.toolkit.ground import Ground, ground_of_layer, ground_of_photos, ground_of_position
from actatlas.toolkit.logits import LOGITS, with_logits_layer
from actatlas.toolkit.photos import DEFAULT_PHOTOS, Inputs, read_inputs
from actatlas.toolkit.seeing import Seen, see
from actatlas.values import ImageSource
from actatlas.working import WorkingAtlas, class_names


@dataclass(frozen=True)
class Levels:
    """baseline: (C,) float32, the layer's mean answer; window: side, in positions, of the patch that one answers to."""

    baseline: np.ndarray
    window: int


class Studio:
    """What every picture of one network shares; what is learnt of a layer is learnt once.

    network, atlas: of a network alone the atlas is None
    seed: of everything random
    """

    def __init__(
        self, subject: Any = "packaged:efficientnet-lite0", photos: Any = None, seed: int = 0,
        progress: Progress | None = None,
    ):  # fmt: skip
        """subject: a Network, an atlas that actatlas.open gave, a spec, or a torch.nn.Module that load_network takes.

        photos: that pictures are to look like and patches are cut from: a folder, list or ImageSource; None takes the
            atlas's own, or those that packages carry
        Raises what loading a network or opening a source raises.
        """
        self.atlas = subject if isinstance(subject, WorkingAtlas) else None
        self.network: Network = self.atlas.network if self.atlas else load_network(subject)
        require_paintable(self.network)
        self.seed, self.progress = seed, progress or Silent()
        self._photos = photos
        self._grounds: dict[Any, Ground] = {}
        self._levels: dict[str, Levels] = {}

    @property
    def class_names(self) -> ClassNames:
        """Raises NetworkError for a network without logits."""
        return class_names(self.network)

    @cached_property
    def source(self) -> ImageSource:
        if self._photos is not None:
            return open_source(self._photos)
        if self.atlas and self.atlas.has_photos:
            return self.atlas.source
        if (count := self.network.preprocessing.channel_count) > 3:
            raise UsageError(
                f"{self.network.spec} takes {count} channels, and the photos that packages carry have three; "
                "give photos of its own (--photos, or photos= in Python)"
            )
        return open_source(DEFAULT_PHOTOS)

    @cached_property
    def inputs(self) -> Inputs:
        return read_inputs(self.network, self.source, self.seed, self.progress)

    def ground(self, layer: str) -> Ground:
        """Of a layer: from the atlas where it has it, else from the photos. Raises LayerNotFound."""
        name = self.network.layer(layer).name
        if name not in self._grounds:
            if self._photos is None and self.atlas and name in self.atlas.layer_names and _is_whole(self.atlas):
                self._grounds[name] = ground_of_layer(self.atlas.layer(name), self.network)
            else:
                self._grounds[name] = ground_of_photos(self.inputs, name, self.seed, self.progress)
        return self._grounds[name]

    def ground_of_neuron(self, layer: str, position: tuple[int, int]) -> Ground:
        """Of one position, row and column, of a layer's map. Raises UsageError where the map has none there."""
        info = self.network.layer(layer)
        height, width = info.shape[1:]
        if not (0 <= position[0] < height and 0 <= position[1] < width):
            raise UsageError(
                f"{info.name} has positions 0,0 to {height - 1},{width - 1} (row,column), "
                f"not {position[0]},{position[1]}"
            )
        key = (info.name, position)
        if key not in self._grounds:
            side = self._input_side()
            self._grounds[key] = ground_of_position(self.inputs, info.name, position, side, self.progress)
        return self._grounds[key]

    def ground_of_logits(self, size_px: int) -> Ground:
        """Of the logits as a layer. size_px: of the pictures. Raises NetworkError where there are none."""
        key = (LOGITS, size_px)
        if key not in self._grounds:
            inputs = replace(self.inputs, network=with_logits_layer(self.network))
            self._grounds[key] = ground_of_position(inputs, LOGITS, (0, 0), size_px, self.progress)
        return self._grounds[key]

    def levels(self, layer: str) -> Levels:
        """What stands for "nothing there" in a layer. Raises LayerNotFound."""
        name = self.network.layer(layer).name
        if name not in self._levels:
            if self._photos is None and self.atlas and name in self.atlas.layer_names and self.atlas.has_photos:
                self.atlas.require_weights(self.network.spec, self.network.weights_sha256)
                windows = self.atlas.pilot["windows"]
                self._levels[name] = Levels(self.atlas.layer(name).attribution_baseline, int(windows[name]))
            else:
                pilot = self.inputs.pilot(name, self.progress)
                self._levels[name] = Levels(pilot.baselines[name], pilot.windows[name])
        return self._levels[name]

    def see(self, photo: str | Path | Image.Image | Bands) -> Seen:
        """Raises UnreadableImage that says where."""
        return see(self.network, photo)

    def _input_side(self) -> int:
        height, width = self.network.preprocessing.input_px
        if height != width:
            raise UsageError(
                f"{self.network.spec} takes {height} × {width} pixels; one position is painted on a square input "
                "alone: take the channel"
            )
        return height


def studio_of(subject: Any, photos: Any = None) -> Studio:
    """The studio itself, or a new one."""
    return subject if isinstance(subject, Studio) else Studio(subject, photos)


def _is_whole(atlas: WorkingAtlas) -> bool:
    return atlas.is_finished and bool(atlas.shards) and atlas.has_photos
