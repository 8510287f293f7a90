"""Networks of timm and torchvision, with the weights that those libraries download or that a checkpoint holds."""

from __future__ import annotations

import difflib
import logging
import pickle
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from actatlas.errors import ActatlasError, BadWeights, MissingExtra, UnknownNetwork, first_line
from actatlas.networks.imagenet import imagenet_labels
from actatlas.networks.network import Network
from actatlas.preprocessing import Preprocessing

# Seed of networks that are asked for without trained weights, so that two processes have the same one.
UNTRAINED_SEED = 0


def load_timm(name: str) -> Network:
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "timm", f"timm:{name}") from None
    spec, (name, _, query) = f"timm:{name}", name.partition("?")
    options = dict(urllib.parse.parse_qsl(query))
    unknown = set(options) - {"num_classes", "checkpoint", "pretrained", "in_chans"}
    if unknown:
        raise UnknownNetwork(
            f"{spec}: {', '.join(sorted(unknown))} is none of num_classes, checkpoint, pretrained, in_chans", spec=spec
        )
    if not timm.is_model(name):
        base = name.split(".")[0]
        closest = difflib.get_close_matches(base, timm.list_models(), n=3)
        hint = f"closest: {', '.join(closest)}" if closest else "see timm.list_models()"
        raise UnknownNetwork(f"timm has no network {name}; {hint}", spec=spec)
    numbers: dict[str, Any] = {key: options[key] for key in ("num_classes", "in_chans") if key in options}
    if not all(value.isdigit() for value in numbers.values()):
        raise UnknownNetwork(f"{spec}: num_classes and in_chans are whole numbers", spec=spec)
    numbers = {key: int(value) for key, value in numbers.items()}
    checkpoint = options.get("checkpoint")
    is_pretrained = checkpoint is None and options.get("pretrained", "true") != "false"
    with _loading(spec), _seeded(None if is_pretrained or checkpoint else spec), _impatient():
        module = timm.create_model(name, pretrained=is_pretrained, **numbers)
        if checkpoint:
            module.load_state_dict(_state_dict(Path(checkpoint)))
    config = timm.data.resolve_model_data_config(module)
    channels, height, width = config["input_size"]
    cropped_px = max(int(min(height, width) / config["crop_pct"]), height, width)
    resize_px = None if config["crop_mode"] == "squash" else cropped_px
    mean, std = (tuple(config[key])[:channels] for key in ("mean", "std"))
    preprocessing = Preprocessing((height, width), resize_px, config["interpolation"], mean, std, channels)
    has_logits = getattr(module, "num_classes", None) != 0
    return Network(module, preprocessing, _timm_labels(module), spec, has_logits=has_logits)


def _timm_labels(module: nn.Module) -> list[str] | None:
    configured = getattr(module, "pretrained_cfg", {}).get("label_names")
    if configured:
        return list(configured)
    return imagenet_labels() if getattr(module, "num_classes", 0) == 1000 else None


def load_torchvision(name: str) -> Network:
    try:
        from torchvision import models
    except ImportError:
        raise MissingExtra("torchvision", "build", f"torchvision:{name}") from None
    spec, (name, _, weights_name) = f"torchvision:{name}", name.partition("@")
    classifiers = models.list_models(module=models)
    if name not in classifiers:
        closest = difflib.get_close_matches(name, classifiers, n=3)
        hint = f"closest: {', '.join(closest)}" if closest else "see torchvision.models.list_models()"
        raise UnknownNetwork(f"torchvision has no classifier {name}; {hint}", spec=spec)
    choices = [member.name for member in models.get_model_weights(name)]
    if weights_name not in (*choices, "none", "DEFAULT"):
        offered = ", ".join(f"torchvision:{name}@{choice}" for choice in choices)
        problem = f"has no weights {weights_name}" if weights_name else "does not say which weights"
        raise UnknownNetwork(
            f"torchvision:{name} {problem}; write {offered}, or torchvision:{name}@none for untrained ones",
            spec=spec,
        )
    weights = None if weights_name == "none" else getattr(models.get_model_weights(name), weights_name)
    like = weights or models.get_model_weights(name).DEFAULT
    with _loading(spec), _seeded(spec if weights is None else None):
        # GoogLeNet and Inception have heads for training alone, and say so where they are built untrained.
        extras = {"aux_logits": False, "init_weights": True} if weights is None and _has_aux(name) else {}
        module = models.get_model(name, weights=weights, **extras)
    transform = like.transforms()
    side, resize = transform.crop_size[0], max(transform.resize_size[0], transform.crop_size[0])
    preprocessing = Preprocessing(
        (side, side), resize, transform.interpolation.value, tuple(transform.mean), tuple(transform.std)
    )
    return Network(module, preprocessing, list(like.meta["categories"]), spec)


def _has_aux(name: str) -> bool:
    return name in ("googlenet", "inception_v3")


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors from safetensors, or from a .pth by weights_only: never code."""
    if not path.is_file():
        raise BadWeights(f"there is no file {path}; give the path of a .safetensors or .pth file", path=str(path))
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BadWeights(
            f"{path} holds more than tensors, or none: it was not read; save a state dict", path=str(path)
        ) from None
    return loaded.get("state_dict", loaded)


@contextmanager
def _seeded(untrained_spec: str | None) -> Iterator[None]:
    """Random weights are the same each time, said to be random, and leave the caller's random numbers alone."""
    if untrained_spec is None:
        yield
        return
    logging.getLogger("actatlas").warning(
        "%s: its weights are random (seed %d), not trained", untrained_spec, UNTRAINED_SEED
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        yield


@contextmanager
def _loading(spec: str) -> Iterator[None]:
    """What goes wrong while weights are fetched or read, as one sentence."""
    try:
        yield
    except ActatlasError:
        raise
    except Exception as error:  # hubs, networks and files fail in many ways
        raise BadWeights(
            f"{spec}: its weights could not be had ({type(error).__name__}: {first_line(error)}); "
            "check the connection and the name, or give a checkpoint file",
            spec=spec,
        ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    """Without a way to the hub its client retries for a minute, line by line; told so, it looks into its cache."""
    try:
        from huggingface_hub import constants
    except ImportError:
        yield
        return
    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = was_offline or not _is_known_host(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def _is_known_host(url: str) -> bool:
    if urllib.request.getproxies():  # the proxy knows
        return True
    try:
        socket.getaddrinfo(urllib.parse.urlsplit(url).hostname, 443)
    except OSError:
        return False
    return True
