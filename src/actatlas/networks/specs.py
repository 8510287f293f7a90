"""Network specs → Network."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from actatlas.errors import UnknownNetwork, UsageError
from actatlas.networks.foreign import load_file, load_python, network_of
from actatlas.networks.hub import load_hub
from actatlas.networks.inception_v1 import load_lucid
from actatlas.networks.libraries import load_timm, load_torchvision
from actatlas.networks.network import Network
from actatlas.networks.packaged import load_packaged
from actatlas.plugins import NETWORKS, Plugin, find_plugin, plugins
from actatlas.preprocessing import Preprocessing

_LOADERS: dict[str, Callable[[str], Network]] = {
    "packaged": load_packaged,
    "timm": load_timm,
    "torchvision": load_torchvision,
    "hf": load_hub,
    "lucid": load_lucid,
    "python": load_python,
}


def load_network(
    model: str | nn.Module | Network,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    device: str = "auto",
    outputs: Callable[[Any], Tensor] | None = None,
) -> Network:
    """A network by its spec, or from a module with its preprocessing and labels.

    packaged:efficientnet-lite0 · timm:NAME[?checkpoint=FILE&num_classes=…&in_chans=…&pretrained=false] ·
    torchvision:NAME@WEIGHTS (WEIGHTS may be "none": untrained, seeded) or torchvision:NAME?checkpoint=FILE ·
    hf:NAME or hf:FOLDER, image classifiers of transformers · lucid:inceptionv1[?checkpoint=FILE] ·
    python:module:function · path/to/zoo.py:function.
    Behind a ? also labels=FILE, input_px=…, resize_px=…, mean=…, std=…: docs/networks.md

    device: "auto" takes CUDA, then an Apple GPU, then the CPU
    outputs: from what the module gives to (B, K) numbers that stand in for logits, such as a detector's scores, or an
        embedding's likeness to K text prompts; `labels` are then names of these K
    Raises UnknownNetwork, BadWeights, MissingExtra; UsageError for a device that is not there.
    """
    if outputs is not None:
        return load_network(model, preprocessing, None, device).read_by(outputs, labels)
    if isinstance(model, Network):
        return model
    if isinstance(model, nn.Module):
        network = _from_module(model, preprocessing, labels)
        return network if device == "auto" else _on(network, device)
    network = _on(_by_spec(model), device)
    network.loaded_by = (model, device)
    return network


def _by_spec(model: str) -> Network:
    source, _, name = model.partition(":")
    file, _, function_name = model.rpartition(":")
    if source in _LOADERS and name:
        return _LOADERS[source](name)
    if file.endswith(".py") and function_name:
        return load_file(file, function_name)
    plugin = find_plugin(NETWORKS, source) if name else None
    if plugin is not None:
        return _from_plugin(plugin, name, model)
    if model.endswith(".py"):
        raise UnknownNetwork(f"{model} names no function that gives the network; write {model}:function", spec=model)
    raise _unknown(model, source, name)


def _unknown(model: str, source: str, name: str) -> UnknownNetwork:
    if name:
        sources = [*_LOADERS, *(plugin.name for plugin in plugins(NETWORKS))]
        closest = difflib.get_close_matches(source, sources, n=1)
        hint = f"did you mean {closest[0]}:{name}?" if closest else f"there are: {', '.join(sources)}, zoo.py:function"
        return UnknownNetwork(f'"{model}": networks do not come from "{source}"; {hint}', spec=model)
    return UnknownNetwork(
        f'"{model}" does not say where the network comes from; write timm:{model}, torchvision:{model}@DEFAULT, '
        f"hf:{model}, packaged:efficientnet-lite0, python:module:function or zoo.py:function",
        spec=model,
    )


def _from_plugin(plugin: Plugin, name: str, spec: str) -> Network:
    network = network_of(made := plugin.call(name))
    if network is None:
        raise UnknownNetwork(
            f"{spec}: the plug-in of {plugin.package} gives {type(made).__name__}; it should give a Network, "
            "(module, Preprocessing) or (module, Preprocessing, labels)",
            spec=spec,
        )
    network.spec = spec
    return network


def _on(network: Network, device: str) -> Network:
    if device == "auto":
        has_gpu = torch.cuda.is_available()
        device = "cuda" if has_gpu else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        network.module.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise UsageError(
            f'the network cannot be put on device "{device}" ({reason}); leave it out, or give cpu, cuda or mps',
            device=device,
        ) from None
    return network


def _from_module(module: nn.Module, preprocessing: Preprocessing | None, labels: Sequence[str] | None) -> Network:
    if preprocessing is None:
        raise UnknownNetwork(
            f"{type(module).__name__} came without its preprocessing; give "
            "preprocessing=actatlas.Preprocessing(input_px=(224, 224), resize_px=256, mean=…, std=…)"
        )
    return Network(module, preprocessing, labels)
