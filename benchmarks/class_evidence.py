"""Does an attribution name what the network sees? The rank of the predicted class among all, at places in the middle.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/class_evidence.py [--every 50]

*removed*: what the logits lose when a window of 1, 3 or 5 positions a side is replaced by the layer's mean (1 is mean
replacement, the default attribution). *alone*: what they gain when the rest of the map is the mean, and only this
window is the photo's. Rank 0 is the predicted class itself; by chance it is half of the classes.
"""

from __future__ import annotations

import argparse
import os
import sys

import torch
from PIL import Image
from torch import Tensor

from actatlas.images import open_source
from actatlas.networks import Network, load_network

LAYERS = "blocks.6.expanded", "blocks.11.expanded", "blocks.15.expanded"
PLACES = (0.5, 0.5), (0.35, 0.5), (0.5, 0.65)
HALVES = 0, 1, 2  # of a window, beside its middle
TOP = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder ($ACTATLAS_PHOTOS)")
    parser.add_argument("--every", type=int, default=50, help="so-manyth photo is taken")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    network = load_network("packaged:efficientnet-lite0")
    paths = [record.path for record in open_source(options.photos).records][:: options.every]
    pixels = torch.stack([network.pixels(Image.open(path).convert("RGB")) for path in paths])
    inputs = network.normalize(pixels)
    print(f"{len(paths)} photos, {len(PLACES)} places\n")
    print(f"| layer | window | removed: median rank | in the top {TOP} | alone: median rank | in the top {TOP} |")
    print("|---|---|---|---|---|---|")
    with torch.no_grad():
        for layer in LAYERS:
            for half in HALVES:
                cells = [f"{layer}", f"{2 * half + 1}"]
                for ranks in ranks_of(network, layer, inputs, half):
                    cells += [f"{ranks.median():.0f}", f"{(ranks < TOP).float().mean():.0%}"]
                print("| " + " | ".join(cells) + " |", flush=True)


def ranks_of(network: Network, layer: str, inputs: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """Ranks (photos · places,) of the predicted class, by what is lost without the window and gained by it alone."""
    recording = network.record(inputs, [layer])
    whole, maps = recording.logits, recording.maps[layer]
    mean = maps.mean(dim=(0, 2, 3), keepdim=True)
    plain = recording.replay(layer, mean.expand_as(maps).contiguous())
    height, width = maps.shape[2:]
    removed, alone = [], []
    for down, across in PLACES:
        row, column = int(down * height), int(across * width)
        window = torch.zeros(height, width, dtype=torch.bool)
        window[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = True
        removed.append(whole - recording.replay(layer, torch.where(window, mean, maps)))
        alone.append(recording.replay(layer, torch.where(window, maps, mean)) - plain)
    predicted = whole.argmax(dim=1).repeat(len(PLACES))[:, None]
    return tuple((x > x.gather(1, predicted)).sum(dim=1).float() for x in (torch.cat(removed), torch.cat(alone)))


if __name__ == "__main__":
    main()
