"""The photos that patches are pasted on: what the network takes each for, and what it is labelled."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from actatlas.atlas import Atlas, ClassNames
from actatlas.confusions.pasting import logits_of
from actatlas.errors import UnreadableImage
from actatlas.networks import Network
from actatlas.progress import Progress
from actatlas.values import ImageSource

_LABEL_COLUMNS = ("wnid", "label", "class")
_TOGETHER = 32
_MOST_KEPT = 1000


@dataclass(frozen=True)
class Photos:
    """Some photos of a source, seen once by the network.

    ids: (n,) int64, ids in the source, of those that could be read
    found: (n,) int64, the class that the network takes each for; logits: (n, k) float32 of `classes` (k,)
    truths: the classes that each may be by its label; empty where it has none that is a class's name
    kept: (n, channels, H, W) uint8 pixels, or None where there are too many photos to keep them
    """

    network: Network
    source: ImageSource
    ids: np.ndarray
    found: np.ndarray
    classes: np.ndarray
    logits: np.ndarray
    truths: tuple[tuple[int, ...], ...]
    kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled_count(self) -> int:
        return sum(bool(truth) for truth in self.truths)

    def nearest(self, target: int) -> np.ndarray:
        """Rows by falling logit of the target: photos of something else, and taken for what they are labelled."""
        column = int(np.flatnonzero(self.classes == target)[0])
        order = np.argsort(-self.logits[:, column], kind="stable")
        is_other = np.array([target not in truth for truth in self.truths], bool) & (self.found != target)
        return order[(is_other & self._is_right)[order]]

    def path(self, row: int) -> str:
        return self.source.records[int(self.ids[row])].path

    def pixels(self, row: int) -> Tensor:
        """(channels, H, W) float32 in [0, 1]; the photo is read again where its pixels were not kept."""
        if self.kept is not None:
            return self.kept[row].float() / 255
        return self.network.pixels(self.source.read(int(self.ids[row])))

    @cached_property
    def _is_right(self) -> np.ndarray:
        """(n,) bool: taken for what it is labelled, or without a label."""
        found = zip(self.found.tolist(), self.truths, strict=True)
        return np.array([not truth or what in truth for what, truth in found], bool)


def see_photos(
    network: Network,
    source: ImageSource,
    ids: Sequence[int],
    truths: Mapping[int, tuple[int, ...]],
    classes: Sequence[int],
    progress: Progress,
) -> Photos:
    """One pass over the photos; those that cannot be read are left out and said. Up to 1,000 are kept.

    truths: of each id; classes: whose logits are kept
    """
    columns = np.unique(np.asarray(classes, np.int64))
    seen: list[int] = []
    found, logits, kept = [], [], []
    with (
        ThreadPoolExecutor(thread_name_prefix="actatlas-photos") as pool,
        progress.stage("Asking the network what the photos are", len(ids), "photos") as tick,
    ):
        for start in range(0, len(ids), _TOGETHER):
            part = [int(image_id) for image_id in ids[start : start + _TOGETHER]]
            together = []
            for image_id, pixels in zip(part, pool.map(lambda i: _pixels(network, source, i), part), strict=True):
                if isinstance(pixels, str):
                    progress.say(f"skipped {source.records[image_id].path}: {pixels}")
                else:
                    together.append(pixels)
                    seen.append(image_id)
            if together:
                inputs = torch.stack(together)
                answers = logits_of(network, inputs).numpy()
                found.append(answers.argmax(axis=1))
                logits.append(answers[:, columns])
                if len(ids) <= _MOST_KEPT:
                    kept.append((inputs * 255).round().to(torch.uint8))
            tick(len(part))
    return Photos(
        network, source, np.array(seen, np.int64), np.concatenate(found) if found else np.zeros(0, np.int64),
        columns, np.concatenate(logits) if logits else np.zeros((0, len(columns)), np.float32),
        tuple(truths.get(image_id, ()) for image_id in seen), torch.cat(kept) if kept else None,
    )  # fmt: skip


def _pixels(network: Network, source: ImageSource, image_id: int) -> Tensor | str:
    """(channels, H, W), or why there are none."""
    try:
        return network.pixels(source.read(image_id))
    except UnreadableImage as error:
        return error.reason


def columns_of(atlas: Atlas) -> dict[int, dict[str, str]]:
    """{image id: what came with the image}"""
    images = atlas.images.set_index("id").drop(columns=["path", "skipped"])
    return {int(i): row for i, row in images.to_dict("index").items()}


def truths_by_columns(columns: Mapping[int, Mapping[str, str]], names: ClassNames) -> dict[int, tuple[int, ...]]:
    """The classes that each photo may be by the columns that came with it: by WordNet id before label.

    A column counts where most of its values are whole names of classes: another list of labels says nothing here.

    columns: {image id: {column: value}}
    """
    found: dict[int, tuple[int, ...]] = {}
    for column in _LABEL_COLUMNS:
        values = {image_id: row[column] for image_id, row in columns.items() if row.get(column)}
        understood = {image_id: names.all_called(value) for image_id, value in values.items()}
        if values and sum(map(bool, understood.values())) > len(values) / 2:
            found = {image_id: classes for image_id, classes in understood.items() if classes} | found
    return found


def commonest(values: Sequence[str], n: int = 3) -> list[tuple[str, int]]:
    return Counter(value for value in values if value).most_common(n)


def fingerprint(pixels: Tensor) -> str:
    """The same for a photo wherever it lies, by what the network gets to see of it."""
    return hashlib.sha256((pixels * 255).round().to(torch.uint8).numpy().tobytes()).hexdigest()[:16]
