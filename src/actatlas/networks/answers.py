"""What a network says of an image, for people."""

from __future__ import annotations

from torch import Tensor

TOP = 5


def likeliest(logits: Tensor) -> list[list[tuple[int, float]]]:
    """(B, classes) → of each image the five likeliest classes, as far as there are, and their probabilities."""
    found = logits.float().softmax(dim=1).topk(min(TOP, logits.shape[1]), dim=1)
    rows = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [list(zip(indices, values, strict=True)) for indices, values in rows]
