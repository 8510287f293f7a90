"""What is asked of a build, and the plan that an atlas is held to from its first file on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from actatlas.atlas import collections_of
from actatlas.collect import CollectSettings
from actatlas.errors import NetworkError, NoImages, NotAnAtlas, PlanChanged, TooFewImages, UnfinishedAtlas
from actatlas.grid import GridSettings, default_sides
from actatlas.inversion import InversionSettings, require_paintable, side_px
from actatlas.layout import LayoutSettings
from actatlas.lettering import without_folders
from actatlas.mending import mend
from actatlas.networks import Network, other_names
from actatlas.progress import Progress
from actatlas.rerun import contents_sha256, listing_sha256, versions
from actatlas.store import FORMAT_VERSION, AtlasFolder, paths, to_json
from actatlas.values import Examples, ImageSource, LayerInfo

TAKEN_COLUMNS = ("id", "path", "skipped")  # of the table of images; a list's own are called list_NAME there
MIN_IMAGES = GridSettings(side=2).min_images


@dataclass(frozen=True)
class BuildSettings:
    """What is asked of a build, stage by stage.

    layers: names; empty for the network's recommended ones
    grids: sides; empty for those that suit the number of activations
    title: heads the page; empty for one made from the network and the photos
    examples: what the page shows of photos; None for what it showed, at first patches
    isolate_decoding: photos are decoded in processes of their own; the atlas is the same
    """

    layers: tuple[str, ...] = ()
    grids: tuple[int, ...] = ()
    collect: CollectSettings = field(default_factory=CollectSettings)
    layout: LayoutSettings = field(default_factory=LayoutSettings)
    icons: InversionSettings = field(default_factory=InversionSettings)
    title: str = ""
    examples: Examples | None = None
    isolate_decoding: bool = False

    def __post_init__(self) -> None:
        for side in self.grids:
            GridSettings(side=side)  # refuses sides that cannot be


def chosen_layers(network: Network, names: Sequence[str]) -> list[LayerInfo]:
    """In forward order. Raises LayerNotFound, or NetworkError if the network has no layer to recommend."""
    wanted = list(dict.fromkeys(names)) or [layer.name for layer in network.layers if layer.recommended]
    if not wanted:
        raise NetworkError(
            f"{network.spec} has no layer to recommend; name one with --layer: actatlas layers {network.spec}"
        )
    infos = {name: network.layer(name) for name in wanted}
    order = {layer.name: i for i, layer in enumerate(network.layers)}
    return sorted(infos.values(), key=lambda info: order.get(info.name, len(order)))


def make_plan(network: Network, source: ImageSource, settings: BuildSettings) -> dict[str, Any]:
    """Everything that changes results, as `plan.json` keeps it."""
    layers = chosen_layers(network, settings.layers)
    images = listed_photos(source)
    require_paintable(network)
    return common_to_plans(settings) | {
        "title": settings.title or f"{_short_name(network)}: {Path(source.spec).name or source.spec}",
        "origin": f"Network {network.spec}, weights sha256 {network.weights_sha256[:12]}. Photos: {source.spec}.",
        "network": {
            "spec": network.spec, "weights_sha256": network.weights_sha256, "class_count": network.class_count,
            "is_fixed_size": network.is_fixed_size, "preprocessing": network.preprocessing.to_json(),
        },
        "layers": [asdict(layer) for layer in layers],
        "images": images,
        "icon_px": {layer.name: side_px(network, layer.name, settings.icons.size_px) for layer in layers},
    }  # fmt: skip


def _short_name(network: Network) -> str:
    """What stands behind its source and before its options, such as resnet50; of a file or folder its name."""
    return without_folders(network.spec).partition("?")[0].split(":")[-1]


def common_to_plans(settings: BuildSettings) -> dict[str, Any]:
    """What a plan says of how, and with what, an atlas is made."""
    return {
        "format_version": FORMAT_VERSION,
        "settings": {
            "collect": asdict(settings.collect), "layout": asdict(settings.layout),
            "icons": asdict(settings.icons), "min_images": MIN_IMAGES,
        },
        "versions": versions(),
    }  # fmt: skip


def listed_photos(source: ImageSource) -> dict[str, Any]:
    """What a plan says of the photos. Raises NoImages, TooFewImages."""
    listed = len(source.records)
    if listed == 0:
        raise NoImages(f"{source.spec} holds no images; name a folder, a list or a CSV of photos")
    if listed < MIN_IMAGES:
        raise TooFewImages(
            f"{source.spec} holds {listed} image{'s' * (listed > 1)}, an atlas needs at least {MIN_IMAGES}; add photos"
        )
    return {
        "spec": source.spec,
        "has_files": all(os.path.isabs(record.path) for record in source.records),
        "listed": listed,
        "columns": list(_own_columns(source).values()),
        "listing_sha256": listing_sha256(source),
        "contents_sha256": contents_sha256(source),
    }


def planned_sides(settings: BuildSettings, listed: int) -> list[int]:
    return sorted(set(settings.grids)) or default_sides(settings.collect.activation_count(listed))


def _is_painted(path: str) -> bool:
    return "/icons/" in path or "/expectation." in path or "/classes/" in path or path.startswith("site/")


def _is_laid_out(path: str) -> bool:
    # "/attributions/": of the cells' members some are chosen to carry them
    made = "/grids/", "/attributions/", "/classes/", "/confusions/", "/traces/"
    return (
        path.endswith("/layout.safetensors")
        or any(part in path for part in made)
        or path.startswith(("site/", paths.projections()))
    )


# What has to be made anew when this part of the plan is another: which committed files it stands in.
_REDONE: dict[str, Callable[[str], bool]] = {
    "settings.layout": _is_laid_out,
    "settings.icons": _is_painted,
    "icon_px": _is_painted,
}

# What a part of the plan is called to people, and by which option it is chosen.
_CALLED = {
    "network": "network (--model)", "images": "photos", "layers": "layers (--layer)", "vectors": "vectors (--vectors)",
    "settings.collect.crops": "--crops",
    "settings.collect.positions": "--positions", "settings.collect.seed": "--seed",
    "settings.collect.attribution": "--attribution", "settings.collect.precision": "--precision",
    "settings.layout.seed": "--seed", "settings.layout.method": "layout (--layout)",
    "settings.layout": "layout (--no-align)", "settings.icons": "icons (--draft, --icon-px)",
    "icon_px": "icons (--icon-px)",
}  # fmt: skip

_SAMPLING = ("attribute_all_up_to", "attributed_photos", "attributed_for_average")


def begin_or_continue(
    files: AtlasFolder,
    plan: dict[str, Any],
    labels: list[str] | None,
    source: ImageSource,
    progress: Progress,
    can_grow: bool = False,
) -> None:
    """Write the plan, labels and listing of a new atlas, or go on with one that was begun.

    can_grow: whether --add is there to be named where photos or layers are others
    Other layout or icon settings redo those stages and keep the activations, and so do photos and layers that the plan
    adds to the atlas's own. Raises PlanChanged for other differences.
    """
    mend(files, progress)
    if _has_plan(files, plan, progress):
        begun = _as_begun(files, plan)
        grows = _grows(begun, plan)
        wanted = _grown_plan(begun, plan) if grows else begun
        differing = _differences(wanted, _as_read(plan))
        redone = [part for part in _REDONE if any(name.startswith(part) for name in differing)]
        if not all(name.startswith(tuple(redone)) for name in differing):
            raise PlanChanged(
                f"{files.root} was begun with other {', '.join(_told(differing))}; give the command that it was begun "
                f"with, {'add them with --add, ' if can_grow and _can_be_added(differing) else ''}or choose another "
                "--out",
                differing=differing,
            )
        if grows:
            _grow(files, begun, wanted, source, progress)
        if redone:
            progress.say(f"{files.root} was begun with other {', '.join(differing)}: what depends on it is made anew")
            files.reopen()
            for path in files.committed():
                if any(_REDONE[part](path) for part in redone):
                    files.forget(path)
            files.write_json("plan.json", plan)
    else:
        files.forget("")  # of a plan that nobody knows any more
        files.write_json("plan.json", plan)
    if not (files.has("images.csv") and files.is_finished):  # one that was to grow may hold more than the plan
        files.write("images.csv", _images_csv(source))
    if not files.has("labels.json"):
        files.write_json("labels.json", labels)
    if not files.has("synonyms.json"):
        files.write_json("synonyms.json", other_names(labels))


def _grows(begun: dict[str, Any], plan: dict[str, Any]) -> bool:
    """Whether the plan has all that was begun, and collections after it; adding.py has seen to the photos."""
    had, wanted = collections_of(begun), collections_of(plan)
    is_kept = all(layer in _as_read(plan)["layers"] for layer in begun["layers"])
    return is_kept and len(wanted) > len(had) and wanted[: len(had)] == had


def _grown_plan(begun: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """What was begun, with what the plan adds; in one order, whether some of it had been noted before a stop or not."""
    parts = "collections", "grids", "images", "layers", "icon_px", "origin"
    kept = {name: value for name, value in begun.items() if name not in parts}
    return kept | {name: _as_read(plan)[name] for name in parts}


def _grow(
    files: AtlasFolder, begun: dict[str, Any], plan: dict[str, Any], source: ImageSource, progress: Progress
) -> None:
    """What depends on the photos or on which layers there are goes; the stored plan then has what is added.

    Stopped at any moment, the same command finds the atlas as it was or grown, and what went is made again.
    """
    more = plan["images"]["listed"] - begun["images"]["listed"]
    names = [layer["name"] for layer in plan["layers"] if layer not in begun["layers"]]
    told = [f"{more:,} photos"] * (more > 0) + [", ".join(names)] * (len(names) > 0)
    progress.say(f"{files.root}: {' and '.join(told)} will be added; activations that are there stay")
    files.reopen()
    mend(files, progress)  # of a finished atlas not every byte was looked at, and what is kept is built on
    stored = files.read_json("plan.json")
    files.write_json("plan.json", stored | {"grids": plan["grids"]})  # known even when the grids themselves have gone
    if more:
        _say_what_goes(files, progress)
        files.write("images.csv", _images_csv(source))
    for path in files.committed():
        if _follows_photos(path) if more else _follows_layers(path):
            files.forget(path)
    files.write_json("plan.json", plan)


def _say_what_goes(files: AtlasFolder, progress: Progress) -> None:
    kinds = {"class atlases": "/classes/", "confusions": "/confusions/", "projections of other photos": "projections/"}
    gone = [kind for kind, part in kinds.items() if any(part in path for path in files.committed())]
    if gone:
        progress.say(f"{', '.join(gone)} were of the old maps and go; their commands make them again")


def _follows_photos(path: str) -> bool:
    """Of what carries attributions only the averages go: rows keep their numbers."""
    of_photos = path.endswith(("/statistics.safetensors", "/attributions/average.safetensors"))
    is_unit = "/attributions/" in path and "/grids/" not in path
    return of_photos or (not is_unit and (_is_laid_out(path) or _is_painted(path)))


def _follows_layers(path: str) -> bool:
    """Traces lead through all layers."""
    return path.startswith("site/") or "/traces/" in path


def _has_plan(files: AtlasFolder, plan: dict[str, Any], progress: Progress) -> bool:
    """One that is on the disk and not in the journal yet is compared like any other.

    One that is lost or damaged is written again where this is the same. Raises NotAnAtlas where it was another, which
    all that is there was made by.
    """
    was, is_altered = files.was("plan.json"), files.is_altered("plan.json")
    if files.has("plan.json") and not is_altered:
        return True
    try:
        stored = files.read_json("plan.json")
    except (NotAnAtlas, UnfinishedAtlas):
        stored = None
    if was is None:
        if not isinstance(stored, dict) or stored.get("format_version") != FORMAT_VERSION:
            return False
        files.write("plan.json", files.read_bytes("plan.json"))
        return True
    # A title that a bit has flipped in may be any.
    is_same = isinstance(stored, dict) and not _differences(stored, _as_read(plan))
    if not is_same and was != hashlib.sha256(to_json(plan)).hexdigest():
        raise NotAnAtlas(
            f"{files.root / 'plan.json'} is {'damaged' if is_altered else 'lost'}, and was of another command than "
            "this; give the one that the atlas was begun with, bring the file back from a copy, or choose another --out"
        )
    if files.has("plan.json"):  # of a finished atlas, where only sizes were looked at
        files.reopen()
        mend(files, progress)
    files.write_json("plan.json", plan)
    return True


def _as_begun(files: AtlasFolder, plan: dict[str, Any]) -> dict[str, Any]:
    """The stored plan. One from before some activations could carry attributions for all says nothing of that, and one
    from before photos were looked into nothing of these.
    """
    begun = files.read_json("plan.json")
    begun["images"].setdefault("contents_sha256", plan["images"]["contents_sha256"])
    collect, wanted = begun["settings"]["collect"], plan["settings"]["collect"]
    if not CollectSettings(**wanted).attributes_a_sample(plan["images"]["listed"]):
        begun["settings"]["collect"] = {name: wanted[name] for name in _SAMPLING} | collect
    return begun


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    ignored = {"title", "origin", "grids"}
    names = []
    for key in sorted((set(old) | set(new)) - ignored):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key}")
    return names


def _can_be_added(differing: list[str]) -> bool:
    """Whether photos and layers are all that differs."""
    return all(name.startswith(("images.", "layers", "icon_px.", "collections")) for name in differing)


def _told(differing: list[str]) -> list[str]:
    """Differences as people know them, each once, the weightiest first; what has no such name has the plan's own."""
    # Other layers have other sizes of icons.
    names = [name for name in differing if "layers" not in differing or not name.startswith("icon_px.")]
    names = [name for name in names if name != "collections"]  # photos or layers differ too
    found = {_called(name): None for name in names}
    order = list(_CALLED.values())
    return sorted(found, key=lambda told: order.index(told) if told in order else len(order))


def _called(name: str) -> str:
    if name.startswith("versions."):
        return f"version of {name.partition('.')[2]}"
    return next((told for part, told in _CALLED.items() if f"{name}.".startswith(f"{part}.")), name.rpartition(".")[2])


def _as_read(plan: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(plan))


def _images_csv(source: ImageSource) -> bytes:
    own = _own_columns(source)
    table = io.BytesIO()
    # Text goes on as bytes row by row: of a million photos there is one copy, not four.
    text = io.TextIOWrapper(table, "utf-8", "surrogateescape", newline="", write_through=False)
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "path", *own.values()])
    for record in source.records:
        rows.writerow([record.id, record.path, *(record.columns.get(name, "") for name in own)])
    text.flush()
    return table.getvalue()


def _own_columns(source: ImageSource) -> dict[str, str]:
    """The list's columns, and their names in the table of images, where id, path and skipped are taken."""
    return {name: f"list_{name}" if name in TAKEN_COLUMNS else name for name in source.column_names}
