"""Networks of timm and torchvision, with the weights that those libraries download or that a checkpoint holds."""

from __future__ import annotations

import difflib
import urllib.parse
from typing import Any

from torch import nn

from actatlas.errors import MissingExtra, UnknownNetwork, UsageError
from actatlas.networks.checkpoints import load_checkpoint
from actatlas.networks.fetching import hub_host, impatient, loading, seeded
from actatlas.networks.imagenet import imagenet_labels
from actatlas.networks.network import Network
from actatlas.networks.options import Options, apply_options, read_options
from actatlas.preprocessing import Preprocessing

_TIMM_OPTIONS = ("num_classes", "in_chans", "checkpoint", "pretrained")
_TORCHVISION_OPTIONS = ("num_classes", "checkpoint")


def load_timm(text: str) -> Network:
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "timm", f"timm:{text}") from None
    options = read_options("timm", text, _TIMM_OPTIONS)
    spec, name = options.spec, options.name
    if not timm.is_model(name):
        closest = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
        hint = f"closest: {', '.join(closest)}" if closest else "see timm.list_models()"
        raise UnknownNetwork(f"timm has no network {name}; {hint}", spec=spec)
    config = timm.get_pretrained_cfg(name)
    is_pretrained = options.checkpoint is None and not options.is_untrained
    if is_pretrained and not (config and config.has_weights):
        raise UnknownNetwork(
            f"timm has no trained weights of {name}; write timm:{name}?checkpoint=FILE, or "
            f"timm:{name}?pretrained=false for random ones",
            spec=spec,
        )
    module = _timm_module(timm, options, config, is_pretrained)
    channels, height, width = (config := timm.data.resolve_model_data_config(module))["input_size"]
    channels = options.number("in_chans") or channels
    cropped_px = max(int(min(height, width) / config["crop_pct"]), height, width)
    resize_px = None if config["crop_mode"] == "squash" else cropped_px
    mean, std = (_for_channels(config[key], channels) for key in ("mean", "std"))
    preprocessing = Preprocessing((height, width), resize_px, config["interpolation"], mean, std, channels)
    has_logits = getattr(module, "num_classes", None) != 0
    network = Network(module, preprocessing, _timm_labels(module), spec, has_logits=has_logits)
    return apply_options(network, options)


def _timm_module(timm: Any, options: Options, config: Any, is_pretrained: bool) -> nn.Module:
    numbers: dict[str, int | None] = {
        key: options.number(key) for key in ("num_classes", "in_chans") if key in options.values
    }
    side = options.number("input_px")
    if side and config is not None and config.fixed_input_size:
        numbers["img_size"] = side
    instead = "give a file: checkpoint=FILE"
    host = hub_host()
    if config is not None and config.hf_hub_id:
        name = options.name.split(".")[0]
        instead = (
            f"where there is one: hf download {config.hf_hub_id} model.safetensors --local-dir DIR; "
            f"then write timm:{name}?checkpoint=DIR/model.safetensors"
        )
    elif config is not None and config.url:
        host = urllib.parse.urlsplit(config.url).hostname or host
        instead = f"fetch {config.url} where there is one, then write timm:{options.name}?checkpoint=FILE"
    with loading(options.spec, host, instead), seeded(options.spec if options.is_untrained else None), impatient():
        module = timm.create_model(options.name, pretrained=is_pretrained, **numbers)
        if options.checkpoint:
            load_checkpoint(module, options.checkpoint, options.spec)
    return module


def _for_channels(values: Any, channel_count: int) -> tuple[float, ...]:
    """Of a configuration for three channels, for any number of them: timm repeats a trained stem's weights likewise."""
    return tuple(float(values[i % len(values)]) for i in range(channel_count))


def _timm_labels(module: nn.Module) -> list[str] | None:
    configured = getattr(module, "pretrained_cfg", {}).get("label_names")
    if configured and len(configured) == getattr(module, "num_classes", 0):
        return list(configured)
    return imagenet_labels() if getattr(module, "num_classes", 0) == 1000 else None


def load_torchvision(text: str) -> Network:
    try:
        from torchvision import models
    except ImportError:
        raise MissingExtra("torchvision", "build", f"torchvision:{text}") from None
    options = read_options("torchvision", text, _TORCHVISION_OPTIONS)
    spec, (name, _, weights_name) = options.spec, options.name.partition("@")
    classifiers = models.list_models(module=models)
    if name not in classifiers:
        closest = difflib.get_close_matches(name, classifiers, n=3)
        hint = f"closest: {', '.join(closest)}" if closest else "see torchvision.models.list_models()"
        raise UnknownNetwork(f"torchvision has no classifier {name}; {hint}", spec=spec)
    choices = models.get_model_weights(name)
    weights = None if options.checkpoint and weights_name in ("", "none") else _weights(name, weights_name, choices)
    _require_one_source(options, weights)
    module = _torchvision_module(models, name, weights, options)
    like = weights or choices.DEFAULT
    transform = like.transforms()
    side, resize = transform.crop_size[0], max(transform.resize_size[0], transform.crop_size[0])
    preprocessing = Preprocessing(
        (side, side), resize, transform.interpolation.value, tuple(transform.mean), tuple(transform.std)
    )
    categories = list(like.meta["categories"])
    labels = categories if options.number("num_classes") in (None, len(categories)) else None
    return apply_options(Network(module, preprocessing, labels, spec), options)


def _weights(name: str, weights_name: str, choices: Any) -> Any:
    """The member of the enum; None for "none". Raises UnknownNetwork."""
    names = [member.name for member in choices]
    if weights_name not in (*names, "none", "DEFAULT"):
        offered = ", ".join(f"torchvision:{name}@{choice}" for choice in names)
        problem = f"has no weights {weights_name}" if weights_name else "does not say which weights"
        raise UnknownNetwork(
            f"torchvision:{name} {problem}; write {offered}, torchvision:{name}?checkpoint=FILE, or "
            f"torchvision:{name}@none for untrained ones",
            spec=f"torchvision:{name}@{weights_name}",
        )
    return None if weights_name == "none" else getattr(choices, weights_name)


def _require_one_source(options: Options, weights: Any) -> None:
    if weights is not None and options.checkpoint:
        raise UsageError(f"{options.spec} names weights twice; leave out @{weights.name} or checkpoint=")
    if weights is not None and options.number("num_classes") not in (None, len(weights.meta["categories"])):
        raise UsageError(
            f"{options.spec}: the weights {weights.name} are of {len(weights.meta['categories'])} classes; "
            "num_classes= goes with @none or with checkpoint=FILE"
        )


def _torchvision_module(models: Any, name: str, weights: Any, options: Options) -> nn.Module:
    # GoogLeNet and Inception have heads for training alone, and say so where they are built untrained.
    extras: dict[str, Any] = {}
    if weights is None and name in ("googlenet", "inception_v3"):
        extras = {"aux_logits": False, "init_weights": options.checkpoint is None}
    if weights is None and "num_classes" in options.values:
        extras["num_classes"] = options.number("num_classes")
    url = weights.url if weights is not None else ""
    instead = f"fetch {url} where there is one, then write torchvision:{name}?checkpoint=FILE" if url else ""
    host = urllib.parse.urlsplit(url).hostname or ""
    is_untrained = weights is None and options.checkpoint is None
    with loading(options.spec, host, instead), seeded(options.spec if is_untrained else None):
        module = models.get_model(name, weights=weights, **extras)
        if options.checkpoint:
            load_checkpoint(module, options.checkpoint, options.spec)
    return module
