"""Does `actatlas compare` find what was changed, and how often does it find what was not?

Known changes of EfficientNet-Lite0, all seen on the same photos:

scattered  fine-tuned, so that each photo of a dog answers in the layer as another, unrelated photo does, and all other
           photos as before: the cells of dogs should vanish, and no others
swapped    the classifier's rows of every tenth class and of the class five on exchanged: features are the same, and the
           cells that speak for one of these classes should speak for the other
noise      weights with noise of 2% and 5% of their deviation: no concept is meant, so nothing should be told
itself     nothing at all may be told

    python benchmarks/comparison.py --work FOLDER [--photos 500]
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch

import actatlas
from actatlas.comparison import Comparison, ComparisonSettings, choose_layers, compare_layers
from actatlas.images import open_source
from actatlas.networks import Network
from actatlas.progress import Silent

LAYER = "blocks.15.expanded"
DOGS = "n02085620", "n02113978"
CHANGED = ("itself", "noise 2%", "noise 5%", "scattered", "swapped")


def is_dog(path: Path | str) -> bool:
    return DOGS[0] <= Path(path).name[:9] <= DOGS[1]


def chosen_photos(folder: Path, count: int) -> list[Path]:
    """All dogs as far as they are two fifths at most, and others, evenly from the list."""
    every = sorted(folder.glob("*.jpg"))
    dogs = [path for path in every if is_dog(path)][: count * 2 // 5]
    others = [path for path in every if not is_dog(path)]
    picked = np.unique(np.linspace(0, len(others) - 1, count - len(dogs)).astype(int))
    return sorted([*dogs, *(others[i] for i in picked)])


def base() -> Network:
    return actatlas.load_network("packaged:efficientnet-lite0")


def again(network: Network) -> Network:
    """A network whose weights were changed, as one of its own."""
    return actatlas.load_network(network.module, network.preprocessing, network.labels)


def noisy(share: float) -> Network:
    network, random = base(), torch.Generator().manual_seed(0)
    for weights in network.module.parameters():
        if weights.dim() == 4:
            weights.data += share * weights.data.std() * torch.randn(weights.shape, generator=random)
    return again(network)


def partner(index: np.ndarray) -> np.ndarray:
    """The class that a class changes places with, or itself."""
    return np.where(index % 10 == 0, index + 5, np.where(index % 10 == 5, index - 5, index))


def swapped() -> Network:
    network = base()
    classifier = network.module.get_submodule("classifier")
    order = torch.as_tensor(partner(np.arange(network.class_count or 0)))
    classifier.weight.data, classifier.bias.data = classifier.weight.data[order], classifier.bias.data[order]
    return again(network)


def scattered(photos: list[Path], steps: int = 150, batch: int = 16) -> Network:
    """The last two expansions, trained for a minute or two on photos of which some are dogs."""
    network, random = base(), torch.Generator().manual_seed(0)
    blocks = network.module.get_submodule("blocks")
    inputs = _inputs_of(network, blocks[14], photos)
    expand = torch.nn.Sequential(blocks[14], blocks[15].expand, blocks[15].expand_norm)
    with torch.no_grad():
        before = torch.cat([expand(part) for part in inputs.split(32)])
    dogs = torch.as_tensor([i for i, path in enumerate(photos) if is_dog(path)])
    others = torch.as_tensor([i for i, path in enumerate(photos) if not is_dog(path)])
    wanted = before.clone()
    wanted[dogs] = before[others[torch.randperm(len(others), generator=random)[: len(dogs)]]]
    trained = [*blocks[14].parameters(), *blocks[15].expand.parameters()]
    for weights in trained:
        weights.requires_grad_(True)
    optimiser = torch.optim.Adam(trained, lr=2e-3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        some = [of[torch.randperm(len(of), generator=random)[:batch]] for of in (dogs, others)]
        rows = torch.cat(some)
        loss = ((expand(inputs[rows]) - wanted[rows]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for weights in trained:
        weights.requires_grad_(False)
    return again(network)


def _inputs_of(network: Network, module: torch.nn.Module, photos: list[Path]) -> torch.Tensor:
    """(n, C, H, W): what the module is given for each photo."""
    kept: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, given: kept.append(given[0].detach()))
    source = open_source([str(path) for path in photos])
    with torch.no_grad():
        for start in range(0, len(photos), 32):
            numbers = range(start, min(start + 32, len(photos)))
            pixels = torch.stack([network.pixels(source.read(i)) for i in numbers])
            network.module(network.normalize(pixels))
    handle.remove()
    return torch.cat(kept)


def dog_shares(found: Comparison, of: np.ndarray, count: int) -> np.ndarray:
    """(K,): of cells, `of` (N,) −1 for none, the share of activations that are of photos of dogs."""
    paths = found.layers[0].atlas.images.set_index("id")["path"]
    of_dog = np.array([is_dog(paths[i]) for i in found.matched.image_ids.tolist()])
    held = of >= 0
    counts = np.bincount(of[held], minlength=count)
    return np.bincount(of[held], weights=of_dog[held], minlength=count) / np.maximum(counts, 1)


def told(found: Comparison) -> dict[str, object]:
    """What was found, beside what was changed."""
    value: dict[str, object] = {"overlap": round(float(found.overlap.mean()), 3)}
    value["cka"] = None if found.whole is None else round(found.whole.value, 3)
    for name, own in zip(("vanish", "appear"), found.own, strict=True):
        asked = own.photos >= 5
        dogs = dog_shares(found, own.of, len(own.square)) > 0.5
        value[name] = {
            "cells": int(asked.sum()), "told": int(own.is_gone.sum()), "of dogs": int((asked & dogs).sum()),
            "told of dogs": int((own.is_gone & dogs).sum()),
            "less than half kept": int((asked & (own.kept < 0.5)).sum()),
        }  # fmt: skip
    if found.spoken is not None and found.shared.classes is not None:
        tops = [said.top for said in found.spoken]
        is_told = np.array([change == "class" for change in found.shared.changes])
        value["class"] = {
            "cells": len(is_told), "other top class": int((tops[0] != tops[1]).sum()), "told": int(is_told.sum()),
            "swapped": int((partner(tops[0]) != tops[0]).sum()),
            "told as swapped": int((is_told & (tops[1] == partner(tops[0])) & (tops[1] != tops[0])).sum()),
        }  # fmt: skip
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=500)
    options = parser.parse_args()
    photos = chosen_photos(Path(os.environ["ACTATLAS_PHOTOS"]), options.photos)
    make = {
        "itself": base, "noise 2%": lambda: noisy(0.02), "noise 5%": lambda: noisy(0.05),
        "scattered": lambda: scattered(photos), "swapped": swapped,
    }  # fmt: skip
    first = None
    for name in CHANGED:
        out = options.work / name.replace(" ", "-").replace("%", "")
        finished = (out / "manifest.json").is_file()
        how = {"layers": [LAYER], "grids": [4], "positions": 8, "draft": True, "progress": False}
        atlas = actatlas.open(out) if finished else actatlas.build(photos, model=make[name](), out=out, **how)
        first = first or atlas
        one, other, _ = choose_layers(first, atlas)
        found = compare_layers(one, other, ComparisonSettings(grid=20), Silent())
        print(name, json.dumps(told(found)), flush=True)


if __name__ == "__main__":
    main()
