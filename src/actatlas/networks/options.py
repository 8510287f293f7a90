"""What stands behind the ? of a spec: timm:NAME?num_classes=7&checkpoint=FILE."""

from __future__ import annotations

import difflib
import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from actatlas.errors import UnknownNetwork
from actatlas.networks.labels import read_labels
from actatlas.networks.network import Network

# Any network with a spec takes these.
_SHARED = ("labels", "input_px", "resize_px", "mean", "std")
_WHOLE_NUMBERS = ("num_classes", "in_chans", "input_px", "resize_px")
_FILES = ("checkpoint", "labels")


@dataclass(frozen=True)
class Options:
    """The options of a spec. spec: the whole, with absolute paths, so that it leads to the network from anywhere."""

    spec: str
    name: str
    values: dict[str, str] = field(default_factory=dict)

    def number(self, key: str) -> int | None:
        return int(self.values[key]) if key in self.values else None

    @property
    def checkpoint(self) -> Path | None:
        return Path(self.values["checkpoint"]) if "checkpoint" in self.values else None

    @property
    def is_untrained(self) -> bool:
        return self.checkpoint is None and self.values.get("pretrained") == "false"


def read_options(source: str, text: str, allowed: Sequence[str]) -> Options:
    """source: what stands before the colon, text: what stands behind it.

    Raises UnknownNetwork for an option that there is not, or a value that cannot be.
    """
    name, _, query = text.partition("?")
    values: dict[str, str] = {}
    known = (*allowed, *_SHARED)
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in known:
            closest = difflib.get_close_matches(key, known, n=1)
            hint = f'; did you mean "{closest[0]}"?' if closest else f"; there are: {', '.join(known)}"
            raise UnknownNetwork(f'{source}:{text} has no option "{key}"{hint}', spec=f"{source}:{text}")
        values[key] = urllib.parse.unquote(value)
        _check(source, text, key, values[key])
    for key in _FILES:
        if key in values:
            values[key] = os.path.realpath(os.path.expanduser(values[key]))
    shown = "&".join(f"{key}={value.replace('%', '%25').replace('&', '%26')}" for key, value in values.items())
    return Options(f"{source}:{name}" + (f"?{shown}" if shown else ""), name, values)


def apply_options(network: Network, options: Options) -> Network:
    """The network with the labels and the preprocessing that the spec gives. Raises UnknownNetwork, BadLabels."""
    values = options.values
    network.preprocessing = _preprocessing(network, options)
    if "labels" in values:
        network.labels = read_labels(Path(values["labels"]), network.class_count, options.spec)
    return network


def _preprocessing(network: Network, options: Options):
    values, before = options.values, network.preprocessing
    changes: dict[str, object] = {}
    side = options.number("input_px")
    if side:
        # The share of the photo that is cropped stays.
        resized = before.resize_px and max(round(before.resize_px * side / max(before.input_px)), side)
        changes |= {"input_px": (side, side), "resize_px": resized}
    if "resize_px" in values:
        changes["resize_px"] = options.number("resize_px")
    for key in ("mean", "std"):
        if key in values:
            numbers = tuple(float(n) for n in values[key].split(","))
            changes[key] = numbers * before.channel_count if len(numbers) == 1 else numbers
    try:
        return replace(before, **changes)  # type: ignore[arg-type]
    except ValueError as error:
        raise UnknownNetwork(f"{options.spec}: {error}; change the option", spec=options.spec) from None


def _check(source: str, text: str, key: str, value: str) -> None:
    spec = f"{source}:{text}"
    if key in _WHOLE_NUMBERS and not value.isdecimal():
        raise UnknownNetwork(f'{spec}: {key} is a whole number, not "{value}"', spec=spec)
    if key == "pretrained" and value not in ("true", "false"):
        raise UnknownNetwork(f'{spec}: pretrained is true or false, not "{value}"', spec=spec)
    if key in _FILES and not value:
        raise UnknownNetwork(f"{spec}: {key} is the path of a file; write {key}=FILE", spec=spec)
    if key in ("mean", "std"):
        try:
            numbers = [float(n) for n in value.split(",")]
        except ValueError:
            numbers = []
        if not numbers or (key == "std" and 0.0 in numbers):
            raise UnknownNetwork(f'{spec}: {key} is one number, or one a channel: {key}=0.5,0.5,0.5, not "{value}"')
