"""The second set's activations, collected as the atlas's own were: same layers, crops, positions and precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from actatlas.atlas import Atlas, Layer
from actatlas.collect import CollectSettings
from actatlas.networks import Network
from actatlas.pipeline import Run
from actatlas.planning import BuildSettings, begin_or_continue, common_to_plans, listed_photos
from actatlas.progress import Progress
from actatlas.store import building
from actatlas.values import ImageSource


def second_settings(atlas: Atlas, layers: list[Layer]) -> BuildSettings:
    own = CollectSettings(**atlas.plan["settings"]["collect"])
    return BuildSettings(layers=tuple(layer.name for layer in layers), collect=replace(own, attribution=None))


def second_plan(atlas: Atlas, layers: list[Layer], source: ImageSource) -> dict[str, Any]:
    """That of an atlas of the second set that goes no further than collecting. Raises NoImages, TooFewImages."""
    names = [layer.name for layer in layers]
    own = {name: value for name, value in atlas.plan.items() if name not in ("collections", "grids")}
    return own | common_to_plans(second_settings(atlas, layers)) | {
        "layers": [plan for plan in atlas.plan["layers"] if plan["name"] in names], "images": listed_photos(source),
    }  # fmt: skip


def collect_second(
    network: Network, atlas: Atlas, plan: dict[str, Any], source: ImageSource, folder: Path, progress: Progress
) -> Atlas:
    """In a folder of its own, from where the same call goes on if it is stopped. Raises NoImages."""
    layers = [atlas.layer(layer["name"]) for layer in plan["layers"]]
    with building(folder) as files:
        begin_or_continue(files, plan, network.labels, source, progress)
        for name in ("pilot.json", "pilot.safetensors"):  # what was measured for the atlas holds for these photos too
            files.write(name, atlas.files.read_bytes(name))
        Run(network, source, files, second_settings(atlas, layers), progress).collect()
        return Atlas(files)
