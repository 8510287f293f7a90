"""What an image processor of transformers does to a photo, as our Preprocessing."""

from __future__ import annotations

from typing import Any

from PIL import Image

from actatlas.errors import first_line
from actatlas.networks.options import Options
from actatlas.preprocessing import Preprocessing

_INTERPOLATIONS: dict[Any, str] = {
    Image.Resampling.NEAREST: "nearest",
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.LANCZOS: "lanczos",
    Image.Resampling.BOX: "bilinear",
    Image.Resampling.HAMMING: "bilinear",
}


class NoConfiguration(Exception):
    """The sentence says what is missing and how to give it; the caller knows of which network."""


def preprocessing_of(processor: Any, channel_count: int, image_size: Any, options: Options) -> Preprocessing:
    """processor: None where the network has none: then the spec must give it

    Raises NoConfiguration.
    """
    if processor is None:
        return _of_options(channel_count, image_size, options)
    try:
        return _of_processor(processor, channel_count)
    except (TypeError, ValueError, KeyError, ArithmeticError) as error:
        raise NoConfiguration(
            f"has a preprocessor_config.json that does not read ({first_line(error)}); mend it, or take it away and "
            "write into the spec what the network takes: ?input_px=224&mean=0.5,0.5,0.5&std=0.5,0.5,0.5"
        ) from None


def _of_options(channel_count: int, image_size: Any, options: Options) -> Preprocessing:
    """Sizes alone: mean and std follow, as for any other network."""
    side = options.number("input_px") or (image_size if isinstance(image_size, int) else None)
    if side is None or not {"mean", "std"} <= set(options.values):
        raise NoConfiguration(
            "has no preprocessor_config.json, so nobody knows what it takes; write it into the spec: "
            f"?input_px={side or 224}&mean=0.5,0.5,0.5&std=0.5,0.5,0.5"
        )
    plain = (0.0,) * channel_count, (1.0,) * channel_count
    try:
        return Preprocessing((side, side), options.number("resize_px") or side, "bicubic", *plain, channel_count)
    except ValueError as error:
        raise NoConfiguration(f"cannot take {error}; change the option") from None


def _of_processor(processor: Any, channel_count: int) -> Preprocessing:
    input_px, resize_px = _sizes(processor)
    mean, std = _statistics(processor, channel_count)
    interpolation = _INTERPOLATIONS.get(getattr(processor, "resample", None), "bilinear")
    if resize_px is not None:
        resize_px = max(resize_px, *input_px)
    return Preprocessing(input_px, resize_px, interpolation, mean, std, channel_count)


def takes_bgr(processor: Any) -> bool:
    return bool(getattr(processor, "do_flip_channel_order", False))


def _sizes(processor: Any) -> tuple[tuple[int, int], int | None]:
    """(height, width) of the input, and the shorter side before the crop; None where the photo is squeezed."""
    size = _as_dict(getattr(processor, "size", None))
    crop = _as_dict(getattr(processor, "crop_size", None))
    crop_share = getattr(processor, "crop_pct", None)
    shorter = size.get("shortest_edge")
    if getattr(processor, "do_center_crop", False) and crop:
        input_px = _height_width(crop)
        return input_px, shorter or min(_height_width(size, input_px))
    if shorter and crop_share and type(processor).__name__.startswith("ConvNext"):
        # From 384 px on it is squeezed, below that cropped.
        return (shorter, shorter), None if shorter >= 384 else int(shorter / crop_share)
    if shorter:
        return (shorter, shorter), shorter
    if not size:
        raise NoConfiguration("does not say its input's size; write it into the spec: ?input_px=224")
    return _height_width(size), None


def _as_dict(size: Any) -> dict[str, int]:
    if isinstance(size, int):
        return {"height": size, "width": size}
    if size is None:
        return {}
    return {key: int(value) for key, value in dict(size).items() if value}


def _height_width(size: dict[str, int], default: tuple[int, int] | None = None) -> tuple[int, int]:
    if "height" in size and "width" in size:
        return size["height"], size["width"]
    edge = size.get("shortest_edge") or size.get("longest_edge")
    if edge is None and default is None:
        raise NoConfiguration("does not say its input's size; write it into the spec: ?input_px=224")
    return (edge, edge) if edge is not None else default  # type: ignore[return-value]


def _statistics(processor: Any, channel_count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mean and std of pixels in [0, 1], whatever the scale that the processor brings them to first."""
    is_scaled = getattr(processor, "do_rescale", True)
    scale = 255 * float(getattr(processor, "rescale_factor", 1 / 255)) if is_scaled else 255.0
    offset = 1.0 if is_scaled and getattr(processor, "rescale_offset", False) else 0.0
    mean, std = [0.0], [1.0]
    if getattr(processor, "do_normalize", False):
        mean, std = ([float(n) for n in _listed(getattr(processor, key))] for key in ("image_mean", "image_std"))
    return (
        tuple((mean[i % len(mean)] + offset) / scale for i in range(channel_count)),
        tuple(std[i % len(std)] / scale for i in range(channel_count)),
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
