"""What the stages give, as files of an atlas folder: the side that writes. `atlas/` is the side that reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

import numpy as np

from actatlas.collect import Attributed, Pilot, Shard
from actatlas.errors import NetworkError
from actatlas.store import AtlasFolder, paths
from actatlas.values import ActivationSet, CellAttributions, ColourStatistics, Expectation, ImageSource


def write_pilot(files: AtlasFolder, pilot: Pilot) -> None:
    arrays = {f"baseline/{name}": baseline for name, baseline in pilot.baselines.items()}
    arrays |= {"colour_mean": pilot.colour.mean, "colour_covariance": pilot.colour.covariance}
    files.write_arrays("pilot.safetensors", arrays)
    files.write_json(
        "pilot.json",
        {
            "precision": pilot.precision, "agreement": pilot.agreement, "patch_px": pilot.patch_px,
            "windows": dict(pilot.windows),
            "map_sizes": {name: list(size) for name, size in pilot.map_sizes.items()},
        } | ({"placed_by": list(pilot.placed_by)} if pilot.placed_by else {}),
    )  # fmt: skip


def read_pilot(files: AtlasFolder) -> Pilot:
    stored, arrays = files.read_json("pilot.json"), files.read_arrays("pilot.safetensors")
    return Pilot(
        precision=stored["precision"], agreement=stored["agreement"], patch_px=stored["patch_px"],
        windows=stored["windows"],
        map_sizes={name: tuple(size) for name, size in stored["map_sizes"].items()},
        baselines={k.removeprefix("baseline/"): v for k, v in arrays.items() if k.startswith("baseline/")},
        colour=ColourStatistics(mean=arrays["colour_mean"], covariance=arrays["colour_covariance"]),
        placed_by=tuple(stored.get("placed_by", ())),
    )  # fmt: skip


def write_shard(files: AtlasFolder, index: int, shard: Shard) -> None:
    first = next(iter(shard.activations.values()))
    files.write_arrays(
        paths.places(index), {"image_ids": first.image_ids, "positions": first.positions, "boxes": first.boxes}
    )
    write_activations(files, index, shard.activations)
    if shard.predictions is not None:
        files.write_arrays(paths.predictions(index), asdict(shard.predictions))
    # Last: a shard without it was not collected.
    skipped = {str(i): reason for i, reason in sorted(shard.skipped.items())}
    files.write_json(paths.shard(index), {"activations": len(first), "skipped": skipped})


def write_activations(files: AtlasFolder, index: int, activations: Mapping[str, ActivationSet]) -> None:
    """What each layer answers at the places of one shard."""
    for layer, part in activations.items():
        arrays = {"vectors": part.vectors, "attributions": part.attributions}
        files.write_arrays(paths.activations(layer, index), arrays)


def answers_at(shard: Shard, image_ids: np.ndarray, source: ImageSource) -> dict[str, ActivationSet]:
    """Of layers that are added: their activations at the rows (N,) that the atlas has, of these photos.

    Raises NetworkError for a photo that gives none.
    """
    found = {}
    for layer, part in shard.activations.items():
        kept = part.taken(np.flatnonzero(np.isin(part.image_ids, image_ids)))
        if not np.array_equal(kept.image_ids, image_ids):
            missing = int(np.setdiff1d(image_ids, part.image_ids)[0])
            reason = shard.skipped.get(missing, "it gives other activations than before")
            raise NetworkError(
                f"{layer} cannot be added: {source.records[missing].path} is in the atlas, and now {reason}; put the "
                "photo back as it was, or leave the layer out"
            )
        found[layer] = kept
    return found


def write_attributed(files: AtlasFolder, layer: str, unit: int, found: Attributed) -> None:
    failed = found.failed if len(found.failed) else None
    arrays = {"rows": found.rows, "attributions": found.attributions, "failed": failed}
    files.write_arrays(paths.attributions(layer, unit), arrays)


def write_average_attribution(
    files: AtlasFolder, layer: str, rows: np.ndarray, mean: np.ndarray, error: np.ndarray
) -> None:
    """rows: the activations that these are of"""
    arrays = {"rows": rows, "attribution_mean": mean, "attribution_mean_error": error}
    files.write_arrays(paths.average_attribution(layer), arrays)


def write_cell_attributions(files: AtlasFolder, home: str, side: int, found: CellAttributions) -> None:
    files.write_arrays(paths.cell_attributions(home, side), vars(found))


def write_expectation(files: AtlasFolder, layer: str, expectation: Expectation) -> None:
    parts = {field.name: getattr(expectation, field.name) for field in fields(expectation)}
    arrays = {name: value for name, value in parts.items() if isinstance(value, np.ndarray)}
    files.write_arrays(f"{paths.expectation(layer)}.safetensors", arrays)
    # Last: without it nothing was learnt.
    names = {name: list(value) for name, value in parts.items() if isinstance(value, tuple)}
    files.write_json(f"{paths.expectation(layer)}.json", names)


def read_expectation(files: AtlasFolder, layer: str) -> Expectation | None:
    """None where nothing was learnt."""
    if not files.has(f"{paths.expectation(layer)}.json"):
        return None
    names = files.read_json(f"{paths.expectation(layer)}.json")
    arrays = files.read_arrays(f"{paths.expectation(layer)}.safetensors")
    return Expectation(
        tuple(names["layers"]), tuple(names["group_counts"]), tuple(names["explained"]),
        arrays["basis"], arrays["weights"], arrays["offset"], arrays["scale"],
    )  # fmt: skip
