"""Image classifiers of transformers: hf:NAME of the Hugging Face hub, or hf:FOLDER as `save_pretrained` writes it.

Weights come from safetensors, or from a .bin by weights_only; a repository's own code is never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from actatlas.errors import BadWeights, MissingExtra, UnknownNetwork, first_line
from actatlas.networks.fetching import hub_host, impatient, loading, seeded
from actatlas.networks.network import Network
from actatlas.networks.options import Options, apply_options, read_options
from actatlas.networks.processors import NoConfiguration, preprocessing_of, takes_bgr

_OPTIONS = ("revision", "pretrained")
_UNNAMED = re.compile(r"LABEL_\d+")


def load_hub(text: str) -> Network:
    """Raises UnknownNetwork, BadWeights, MissingExtra."""
    try:
        import transformers
    except ImportError:
        raise MissingExtra("transformers", "hf", f"hf:{text}") from None
    options = read_options("hf", text, _OPTIONS)
    where, options = _located(options)
    kept: dict[str, Any] = {"trust_remote_code": False, "local_files_only": Path(where).is_dir()}
    if "revision" in options.values:
        kept["revision"] = options.values["revision"]
    with _quiet(transformers), impatient():
        config = _config(transformers, where, options, kept)
        processor = _processor(transformers, where, kept)
        module = _module(transformers, where, options, config, kept)
    channel_count = getattr(config, "num_channels", 3)
    try:
        preprocessing = preprocessing_of(processor, channel_count, getattr(config, "image_size", None), options)
    except NoConfiguration as error:
        raise UnknownNetwork(f"{options.spec} {error}", spec=options.spec) from None
    if takes_bgr(processor):
        module.register_forward_pre_hook(_flip_channels)
    module.register_forward_hook(_logits)
    return apply_options(Network(module, preprocessing, _labels(config), options.spec), options)


def _located(options: Options) -> tuple[str, Options]:
    """The folder, or the repository's name, and the options with that folder's absolute path in their spec."""
    folder = Path(options.name).expanduser()
    if not folder.is_dir():
        is_path = options.name.startswith((".", "/", "~")) or options.name.count("/") > 1
        if is_path or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", options.name):
            raise UnknownNetwork(
                f"hf:{options.name}: there is no such folder; give one that save_pretrained wrote, or a name on the "
                "hub such as google/vit-base-patch16-224",
                spec=options.spec,
            )
        return options.name, options
    where = str(folder.resolve())
    return where, Options(options.spec.replace(f"hf:{options.name}", f"hf:{where}", 1), where, options.values)


def _config(transformers: Any, where: str, options: Options, kept: dict[str, Any]) -> Any:
    known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    try:
        with loading(options.spec, *_else(where)):
            config = transformers.AutoConfig.from_pretrained(where, **kept)
    except BadWeights as error:
        cause = error.__cause__
        if isinstance(cause, ValueError) and "trust_remote_code" in str(cause):
            raise UnknownNetwork(
                f"{options.spec} brings its own code, which is never run; write a function that gives the network, and "
                "load it as zoo.py:function",
                spec=options.spec,
            ) from None
        if Path(where).is_dir() and isinstance(cause, OSError | ValueError):
            raise UnknownNetwork(
                f"{options.spec}: there is no configuration of transformers in it ({first_line(cause)}); give a folder "
                "that save_pretrained wrote",
                spec=options.spec,
            ) from None
        raise
    if type(config) not in known:
        raise UnknownNetwork(
            f"{options.spec} is a {config.model_type} network, of which transformers knows no image classifier; "
            "write a function that gives it with a function from its outputs to (B, K), and load it as zoo.py:function",
            spec=options.spec,
        )
    return config


def _processor(transformers: Any, where: str, kept: dict[str, Any]) -> Any:
    """The image processor, or None where there is none."""
    try:
        return transformers.AutoImageProcessor.from_pretrained(where, **kept)
    except (OSError, ValueError, ImportError, KeyError):
        return None


def _module(transformers: Any, where: str, options: Options, config: Any, kept: dict[str, Any]) -> nn.Module:
    auto = transformers.AutoModelForImageClassification
    if options.is_untrained:
        with seeded(options.spec), loading(options.spec):
            return auto.from_config(config, trust_remote_code=False).float()
    with loading(options.spec, *_else(where)):
        module, report = auto.from_pretrained(
            where, config=config, dtype=torch.float32, weights_only=True, output_loading_info=True, **kept
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise BadWeights(
            f"{options.spec}: its file lacks {', '.join(missing[:3])}, which would be random; it is no trained image "
            "classifier: fine-tune it first, or load it as zoo.py:function with a function from its outputs to (B, K)",
            spec=options.spec,
            missing=missing[:3],
        )
    return module


def _else(where: str) -> tuple[str, str]:
    """The host, and what to do without it; nothing for a folder."""
    if Path(where).is_dir():
        return "", ""
    folder = where.rpartition("/")[2]
    return hub_host(), (
        f"where there is one: hf download {where} --local-dir {folder} (config.json, preprocessor_config.json and "
        f"model.safetensors are enough); then write hf:PATH/{folder}"
    )


def _labels(config: Any) -> list[str] | None:
    """None where nobody named the classes."""
    names = [str(config.id2label[i]) for i in sorted(config.id2label)]
    return None if all(_UNNAMED.fullmatch(name) for name in names) else names


def _logits(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
    logits = getattr(output, "logits", output)
    return logits if isinstance(logits, Tensor) else output[0]


def _flip_channels(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (inputs[0].flip(1), *inputs[1:])


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without its bars and notes: what matters of them is an error of ours."""
    log = transformers.utils.logging
    verbosity, had_bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if had_bars:
            log.enable_progress_bar()
