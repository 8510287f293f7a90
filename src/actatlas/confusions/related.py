"""Which classes are near one another: a beagle taken for a basset hound is no discovery."""

from __future__ import annotations

import numpy as np
from torch import nn

from actatlas.networks import Network

_NEAREST = 20  # rows of the classifier's weights
_LARGEST_SHARE = 0.1  # of all classes: with ten, twenty would be all


def related_classes(network: Network, logits: np.ndarray) -> np.ndarray:
    """(classes, classes) bool, symmetric: either is the other, or among the other's 20 nearest.

    Nearness is the cosine of the rows of the classifier's weights, or where no classifier is found that of the classes'
    logits over photos, less each class's mean. With fewer than 200 classes a tenth of them counts, instead of 20.

    logits: (n, classes) of some photos
    """
    weights = _classifier_weights(network.module, logits.shape[1])
    rows = (logits - logits.mean(axis=0)).T if weights is None else weights
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    count = len(unit)
    near = min(_NEAREST, int(count * _LARGEST_SHARE))
    order = np.argsort(-(unit @ unit.T), axis=1, kind="stable")[:, : near + 1]
    related = np.zeros((count, count), bool)
    np.put_along_axis(related, order, True, axis=1)
    np.fill_diagonal(related, True)
    return related | related.T


def _classifier_weights(module: nn.Module, class_count: int) -> np.ndarray | None:
    """(classes, features) of the last linear map, or convolution of 1 × 1, to as many outputs as there are classes."""
    for inner in reversed(list(module.modules())):
        if isinstance(inner, nn.Linear | nn.Conv2d):
            weights = inner.weight.detach().flatten(1)
            if weights.shape == (class_count, inner.weight.shape[1]):  # a larger kernel has more columns
                return weights.float().cpu().numpy()
    return None
