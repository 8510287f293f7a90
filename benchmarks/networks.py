"""Which architectures of timm and torchvision build atlases: a tiny one of each, and the table of docs/networks.md.

    python benchmarks/networks.py [--only NAME] [--out DIR] [--write docs/networks.md]

Seeded weights, 12 packaged photos, 4 activations each, one layer, a 3 × 3 grid, draft icons. What untrained networks
lack (statistics of normalisations, last layers of blocks that begin as zeros) they are given, so every layer speaks.
An architecture that fails stays in the table, with what it said. Times are of this machine, everything included.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import actatlas
from actatlas.errors import first_line
from actatlas.networks import Network, load_network
from actatlas.values import LayerInfo

PHOTO_COUNT = 12
SIDE = 3
WEAK = 0.5  # mean cosine: below it icons point more than 60° away from their cells
BEGIN, END = "<!-- table: benchmarks/networks.py -->", "<!-- end of table -->"

# Name, and what it stands for. Small members of each family.
ARCHITECTURES = {
    "torchvision:alexnet@none": "plain",
    "timm:vgg11?pretrained=false": "plain",
    "torchvision:squeezenet1_1@none": "plain, in-place activations",
    "timm:repvgg_a0?pretrained=false": "plain, branches",
    "torchvision:resnet18@none": "residual, in-place activations",
    "timm:resnetv2_18?pretrained=false": "residual, activation first",
    "timm:res2net50_14w_8s?pretrained=false": "residual, many scales",
    "timm:nf_resnet26?pretrained=false": "residual, no normalisation",
    "timm:regnety_002?pretrained=false": "residual",
    "timm:dla34?pretrained=false": "aggregation",
    "timm:hrnet_w18_small?pretrained=false": "parallel resolutions",
    "torchvision:densenet121@none": "dense, in-place activations",
    "torchvision:googlenet@none": "inception",
    "torchvision:inception_v3@none": "inception",
    "lucid:inceptionv1": "inception",
    "timm:mobilenetv2_050?pretrained=false": "MobileNet",
    "timm:mobilenetv3_small_050?pretrained=false": "MobileNet",
    "timm:mobilenetv4_conv_small_035?pretrained=false": "MobileNet",
    "torchvision:mnasnet0_5@none": "MobileNet",
    "torchvision:shufflenet_v2_x0_5@none": "channel shuffle",
    "timm:ghostnet_050?pretrained=false": "cheap features",
    "timm:efficientnet_b0?pretrained=false": "EfficientNet",
    "timm:efficientformer_l1?pretrained=false": "hybrid",
    "timm:convnext_atto?pretrained=false": "ConvNeXt",
    "timm:convnextv2_atto?pretrained=false": "ConvNeXt",
    "timm:poolformer_s12?pretrained=false": "MetaFormer",
    "timm:vit_tiny_patch16_224?pretrained=false": "ViT",
    "timm:deit_tiny_distilled_patch16_224?pretrained=false": "ViT, distillation token",
    "timm:vit_wee_patch16_reg1_gap_256?pretrained=false": "ViT, registers",
    "timm:xcit_nano_12_p16_224?pretrained=false": "cross-covariance attention",
    "timm:swin_tiny_patch4_window7_224?pretrained=false": "Swin",
    "timm:swinv2_tiny_window8_256?pretrained=false": "Swin",
    "timm:pvt_v2_b0?pretrained=false": "pyramid transformer",
    "timm:levit_128s?pretrained=false": "hybrid",
    "timm:mobilevit_xxs?pretrained=false": "hybrid",
    "timm:coatnet_pico_rw_224?pretrained=false": "hybrid",
    "timm:maxvit_pico_rw_256?pretrained=false": "hybrid",
    "timm:vit_tiny_r_s16_p8_224?pretrained=false": "hybrid",
    "timm:mixer_s32_224?pretrained=false": "MLP-Mixer",
    "timm:resmlp_12_224?pretrained=false": "MLP",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What became of one architecture. seconds: of the build; problem: what it said where it failed."""

    spec: str
    kind: str
    layers: int = 0
    recommended: tuple[str, ...] = ()
    layer: str = ""
    form: str = ""
    shape: tuple[int, ...] = ()
    is_fixed_size: bool = False
    collects: bool = False
    attributes: bool = False
    lays_out: bool = False
    cells: int = 0
    cosine: float = 0.0
    identified: int = 0
    seconds: float = 0.0
    problem: str = ""


def awakened(network: Network) -> Network:
    """As if trained a little: no block is silent, nothing fades from layer to layer, and no logit is constant.

    Weights that are all zero, and scales of next to nothing, get small values; batch normalisations the statistics of
    photos; networks without any normalisation weights that keep the scale (He et al. 2015).
    """
    generator = torch.Generator().manual_seed(0)
    modules = list(network.module.modules())
    has_norms = any("norm" in type(module).__name__.lower().replace("responsenorm", "") for module in modules)
    with torch.no_grad():
        for name, weight in network.module.named_parameters():
            is_constant = weight.numel() > 1 and bool((weight == weight.flatten()[0]).all())
            if is_constant and not name.endswith("bias") and float(weight.flatten()[0].abs()) <= 0.1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1 + (0.5 if weight.ndim == 1 else 0))
        for module in modules:
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear) and not has_norms:
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        norms = [module for module in modules if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d)]
        for norm in norms:
            norm.momentum = 1.0
            norm.train()
        network.module(network.normalize(torch.stack([network.pixels(Image.open(path)) for path in photos()])))
        network.module.eval()
    return network


def chosen_layer(network: Network) -> LayerInfo:
    """The recommended one at three fifths of the depth."""
    layers = [layer for layer in network.layers if layer.recommended]
    return layers[len(layers) * 3 // 5]


def load(spec: str) -> Network:
    return awakened(load_network(spec))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="architectures whose spec holds this")
    parser.add_argument(
        "--out", type=Path, help="a folder for the rows, one file each; what is there is not done again"
    )
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    options = parser.parse_args()
    logging.getLogger("actatlas").setLevel(logging.ERROR)
    rows = []
    for spec, kind in ARCHITECTURES.items():
        if options.only not in spec:
            continue
        rows.append(_kept(options.out, spec, kind))
        print(_line(rows[-1]), flush=True)
    failed = [row for row in rows if row.problem]
    print(f"{len(rows) - len(failed)} of {len(rows)} architectures build an atlas", file=sys.stderr)
    if options.write:
        _write(options.write, rows)


def _kept(folder: Path | None, spec: str, kind: str) -> Row:
    if folder is None:
        return build(spec, kind)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{spec.replace(':', '-').partition('?')[0]}.json"
    if not file.exists():
        file.write_text(json.dumps(asdict(build(spec, kind))))
    return Row(**json.loads(file.read_text()))


def build(spec: str, kind: str) -> Row:
    known: dict[str, Any] = {"spec": spec, "kind": kind}
    started = time.perf_counter()
    try:
        network = load(spec)
        info = chosen_layer(network)
        known |= {
            "layers": len(network.layers), "layer": info.name, "form": info.form, "shape": info.shape,
            "recommended": tuple(layer.name for layer in network.layers if layer.recommended),
            "is_fixed_size": network.is_fixed_size,
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            atlas = actatlas.build(
                photos(), out=Path(folder) / "atlas", model=network, layers=[info.name], grids=[SIDE], positions=4,
                draft=True, icon_px=56, precision="float32", progress=False,
            )  # fmt: skip
            known |= figures(atlas, info.name)
    except Exception as error:  # the table tells of it
        known["problem"] = f"{type(error).__name__}: {first_line(error)}"
    return Row(**known, seconds=round(time.perf_counter() - started, 1))


def photos() -> list[str]:
    from actatlas.images import open_source

    return [record.path for record in open_source("packaged:demo").records[:PHOTO_COUNT]]


def figures(atlas: Any, name: str) -> dict[str, Any]:
    layer = atlas.layer(name)
    grid = layer.grid(SIDE)
    vectors = layer.activations.vectors.astype(np.float32)
    problems = []
    if not (np.isfinite(vectors).all() and vectors.std(axis=0).max() > 0):
        problems.append("the activations are all alike")
    has_effect = grid.attributions is not None and bool(np.abs(grid.attributions).max() > 0)
    if not has_effect:
        problems.append("no logit depends on the layer")
    return {
        "collects": len(vectors) == 4 * PHOTO_COUNT,
        "attributes": has_effect,
        "lays_out": int(np.isfinite(layer.layout).all(axis=1).sum()) >= len(vectors) * 0.9,
        "cells": len(grid),
        "cosine": round(float(np.mean(grid.cosine)), 2),
        "identified": int((grid.rank == 0).sum()),
        "problem": "; ".join(problems),
    }


def _line(row: Row) -> str:
    name = row.spec.partition("?")[0].removesuffix("@none")
    shape = " × ".join(map(str, row.shape))
    marks = ["yes" if done else "**no**" for done in (row.collects, row.attributes, row.lays_out)]
    icons = f"{row.identified} of {row.cells}, {row.cosine:.2f}" if row.cells else "–"
    size = "fixed" if row.is_fixed_size else "any"
    cells = [f"`{name}`", row.kind, f"{row.layers}", f"`{row.layer}`", f"{row.form}, {shape}", size, *marks, icons]
    return "| " + " | ".join([*cells, f"{row.seconds:.0f}", "; ".join(shortcomings(row)) or "—"]) + " |"


def shortcomings(row: Row) -> list[str]:
    """What does not work, or not fully, by the row's own figures."""
    found = [row.problem] if row.problem else []
    if not row.cells:
        return found
    for works, what in (
        (row.collects, "not every activation is collected"), (row.attributes, "nothing is attributed"),
        (row.lays_out, "activations without a place on the map"),
    ):  # fmt: skip
        found += [] if works else [what]
    if row.identified < row.cells:
        found.append(f"{row.cells - row.identified} of {row.cells} icons answer more like another cell")
    if row.cosine < WEAK:
        found.append(f"icons answer weakly (mean cosine {row.cosine:.2f})")
    if row.is_fixed_size:
        found.append("icons are painted inside a whole input")
    return found


def _write(page: Path, rows: list[Row]) -> None:
    text = page.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    head = (
        "| network | kind | layers | layer | its form and size | input | collects | attributes | lays out | icons "
        "identified, mean cosine | s | what does not work, or not fully |\n|" + "---|" * 12
    )
    page.write_text(f"{before}{BEGIN}\n{head}\n" + "\n".join(map(_line, rows)) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
