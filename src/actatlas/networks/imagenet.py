"""The 1,000 classes of ImageNet, and what else they are called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

from actatlas.errors import MissingExtra


@cache
def _categories() -> tuple[str, ...]:
    """From torchvision's file that lists them, if it can be run alone: the whole package takes seconds to import."""
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        raise MissingExtra("torchvision", "build", "the ImageNet labels")
    path = Path(package.origin).parent / "models" / "_meta.py"
    found = run_path(str(path)).get("_IMAGENET_CATEGORIES", ()) if path.is_file() else ()
    if len(found) == 1000:
        return tuple(found)
    try:
        from torchvision.models import GoogLeNet_Weights
    except ImportError:
        raise MissingExtra("torchvision", "build", "the ImageNet labels") from None
    return tuple(GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"])


def imagenet_labels() -> list[str]:
    """The 1,000 ImageNet classes in torchvision's order (by WordNet id). Raises MissingExtra."""
    return list(_categories())


def other_names(labels: Sequence[str] | None) -> list[list[str]] | None:
    """Each class's WordNet id and synonyms: where the labels are ImageNet's, and timm, which has them, is there."""
    if labels is None or len(labels) != 1000 or list(labels) != imagenet_labels():
        return None
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        return None
    info = ImageNetInfo("imagenet-1k")
    descriptions = list(info.label_descriptions(detailed=False, as_dict=False))
    return [[name, *words.split(", ")] for name, words in zip(info.label_names(), descriptions, strict=True)]
