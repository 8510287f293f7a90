"""Photos as a network sees them, a few hundred of them held at once: what pictures without an atlas are learnt from."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from actatlas.bands import Bands
from actatlas.collect import CollectSettings, Pilot, order_of, pilot_on, to_pixels
from actatlas.collect.decoding import Decoder, Prepared, none_usable
from actatlas.networks import Network
from actatlas.progress import Progress
from actatlas.values import ImageSource

DEFAULT_PHOTOS = "packaged:demo"
MOST_INPUTS = 384  # in memory, and looked at by the network in seconds
_BATCH = 8
_PILOT = 32
_AHEAD = 32


@dataclass(frozen=True)
class Inputs:
    """Photos, or random crops of few ones.

    pixels: (n, H, W, channels) uint8, as the network takes them; image_ids: (n,) int64, of the photo in the source
    photo_count: distinct photos; crops: of each, 0 where each is taken once as `network.pixels` gives it
    """

    network: Network
    source: ImageSource
    pixels: np.ndarray
    image_ids: np.ndarray
    photo_count: int
    crops: int

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def told(self) -> str:
        """What people read of where numbers come from."""
        crops = f", {self.crops} crops of each" if self.crops else ""
        return f"{self.photo_count:,} photos of {self.source.spec}{crops}"

    def maps(self, layer: str, progress: Progress) -> np.ndarray:
        """(n, C, H, W) float16 of one layer."""
        found = []
        with progress.stage(f"Looking at photos with {layer}", len(self), "inputs") as tick, torch.no_grad():
            for start in range(0, len(self), _BATCH):
                batch = to_pixels(self.pixels[start : start + _BATCH])
                maps = self.network.activations(self.network.normalize(batch), [layer])[layer]
                found.append(maps.float().clamp(-65504, 65504).to(torch.float16).cpu().numpy())
                tick(len(batch))
        return np.concatenate(found)

    def pilot(self, layer: str, progress: Progress) -> Pilot:
        """Of evenly spaced inputs."""
        few = self.pixels[:: -(-len(self) // _PILOT)]
        settings = CollectSettings(crops=self.crops, attribution=None, precision="float32")
        return pilot_on(self.network, few, [layer], settings, progress)

    def picture(self, index: int) -> Image.Image | Bands:
        """One input, RGB, grey, or of the network's own channels."""
        pixels = self.pixels[index]
        if pixels.shape[2] > 3:
            return Bands(pixels)
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def read_inputs(network: Network, source: ImageSource, seed: int, progress: Progress) -> Inputs:
    """Up to 384: of many photos each once, of few as many random crops. Raises NoImages where none can be read."""
    order = order_of(source, seed)[:MOST_INPUTS]
    crops = -(-MOST_INPUTS // max(len(order), 1)) if 2 * len(order) <= MOST_INPUTS else 0
    decoder = Decoder(source, network.preprocessing, CollectSettings(crops=crops, attribution=None, seed=seed))
    pixels: list[np.ndarray] = []
    ids: list[int] = []
    first_unusable: Prepared | None = None
    with (
        progress.stage("Reading photos", len(order), "photos") as tick,
        closing(decoder.run_ahead(order.tolist(), _AHEAD)) as photos,
    ):
        for photo in photos:
            tick(1)
            if photo.reason is not None and first_unusable is None:
                first_unusable = photo
            pixels.extend(photo.inputs)
            ids.extend([photo.image_id] * len(photo.inputs))
    if not pixels:
        raise none_usable(source, network.preprocessing, first_unusable, len(order))
    return Inputs(network, source, np.stack(pixels), np.array(ids, np.int64), len(set(ids)), crops)
