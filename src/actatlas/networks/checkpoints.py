"""State dicts from files: tensors only, never code; what does not fit is one sentence."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from actatlas.errors import BadWeights, first_line

# Where training loops put the state dict, and what wrappers write before each name.
_NESTS = ("state_dict", "model_state_dict", "model", "net", "module", "state_dict_ema", "model_ema")
_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "backbone.")
# Heads that serve training alone: torchvision's GoogLeNet and Inception v3, Lucid's InceptionV1.
_TRAINING_HEADS = ("aux1.", "aux2.", "aux_logits.", "AuxLogits.", "head0_", "head1_", "nn0_", "nn1_")


def load_checkpoint(module: nn.Module, path: Path, spec: str) -> None:
    """Puts the file's tensors into the module. Raises BadWeights where a key or a shape does not fit."""
    own = module.state_dict()
    state = unwrapped(read_state(path), own)
    state = {k: v for k, v in state.items() if k in own or not k.startswith(_TRAINING_HEADS)}
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    misshapen = [k for k in state if k in own and state[k].shape != own[k].shape]
    if misshapen and not missing and not unexpected:
        _refuse_shapes(misshapen, state, own, path, spec)
    if missing or unexpected:
        parts = [f"it lacks {_some(missing)}"] * bool(missing) + [f"it has {_some(unexpected)} too"] * bool(unexpected)
        raise BadWeights(
            f"{path} is not of {spec}: {' and '.join(parts)}; give the architecture that it was saved from",
            path=str(path),
            missing=missing[:3],
            unexpected=unexpected[:3],
        )
    for key, tensor in state.items():
        if fault := _fault_of(tensor, own[key]):
            raise BadWeights(f"{path} cannot be used: {key} {fault}; save the weights anew", path=str(path), key=key)
    module.load_state_dict(state, strict=False)


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors from safetensors, or from a .pth by weights_only: never code."""
    if not path.is_file():
        raise BadWeights(f"there is no file {path}; give the path of a .safetensors or .pth file", path=str(path))
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadWeights(
                f"{path} is no whole safetensors file ({first_line(error)}); fetch it again", path=str(path)
            ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what a file is written in is no news for its user
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BadWeights(
            f"{path} holds more than tensors, or none: it was not read; save a state dict", path=str(path)
        ) from None
    except Exception as error:  # what is no pickle at all makes the unpickler raise anything
        raise BadWeights(
            f"{path} cannot be read as weights ({first_line(error)}); give a .safetensors or .pth file", path=str(path)
        ) from None
    state = _tensors_in(loaded)
    if not state:
        raise BadWeights(f"{path} holds no state dict; save module.state_dict()", path=str(path))
    return state


def _fault_of(tensor: Tensor, own: Tensor) -> str:
    """What makes a tensor of a file no weights, as the end of a sentence; "" where nothing does."""
    if tensor.is_meta or tensor.is_quantized or tensor.is_nested or tensor.layout != torch.strided:
        return "is not a plain tensor (it is of the meta device, quantised, nested or sparse)"
    if own.is_floating_point() and not tensor.is_floating_point():
        return f"holds {str(tensor.dtype).removeprefix('torch.')}, not real numbers"
    if tensor.is_floating_point() and bool(tensor.isnan().any()):
        return "holds NaN"
    return ""


def _tensors_in(loaded: Any) -> dict[str, Tensor]:
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            return {}
        nested = next((loaded[key] for key in _NESTS if isinstance(loaded.get(key), Mapping)), None)
        if nested is None:
            break
        loaded = nested
    return {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}


def unwrapped(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefixes of DataParallel, torch.compile and Lightning, where the module's own names have them not."""
    for _ in range(3):
        prefix = next((w for w in _WRAPPERS if all(key.startswith(w) for key in state)), None)
        if prefix is None or any(key.startswith(prefix) for key in own):
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _refuse_shapes(
    misshapen: Sequence[str], state: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path, spec: str
) -> None:
    key = misshapen[-1]
    theirs, ours = tuple(state[key].shape), tuple(own[key].shape)
    is_head = (
        all(state[k].shape[1:] == own[k].shape[1:] for k in misshapen)
        and len({state[k].shape[0] for k in misshapen}) == 1
    )
    if is_head:
        raise BadWeights(
            f"{path} has {theirs[0]} classes ({key}), {spec} has {ours[0]}; write num_classes={theirs[0]}",
            path=str(path),
            num_classes=theirs[0],
        )
    key = misshapen[0]
    raise BadWeights(
        f"{path} is not of {spec}: {key} is {tuple(state[key].shape)} there and {tuple(own[key].shape)} here; give the "
        "architecture that it was saved from",
        path=str(path),
    )


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more keys" if len(keys) > 3 else "")
