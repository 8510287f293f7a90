"""Photos and layers that an atlas does not have yet: which these are, and what stays of what is there.

Activations stay, and their rows. Layers that are added are laid out beside the others, which keep maps and icons.
Photos that are added make other maps: all is laid out and painted anew.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from actatlas.atlas import Atlas
from actatlas.atlas.tables import read_images
from actatlas.errors import ImageError, NotAnAtlas, PlanChanged, UsageError
from actatlas.images import FileSource, JoinedPhotos, open_source
from actatlas.images.records import Entry
from actatlas.networks import Network
from actatlas.planning import TAKEN_COLUMNS, BuildSettings, chosen_layers, make_plan
from actatlas.rerun import contents_sha256, listing_sha256
from actatlas.store import AtlasFolder
from actatlas.values import Collection, ImageSource


@dataclass(frozen=True)
class Grown:
    """An atlas with what was added to it, as it is to be built.

    source: its own photos in their order, then those that are added
    settings: with all layers and grids
    collections: all of it, in the order in which it was asked for
    new: those of the collections that the atlas does not have yet
    """

    source: ImageSource
    settings: BuildSettings
    collections: list[Collection]
    new: list[Collection]

    def plan(self, network: Network) -> dict[str, Any]:
        """As `make_plan`, with what tells how it grew."""
        plan = make_plan(network, self.source, self.settings)
        if len(self.collections) == 1:
            return plan
        told = [asdict(collection) for collection in self.collections]
        return plan | {"collections": told, "grids": list(self.settings.grids)}


def grown(folder: Path, network: Network, source: ImageSource, settings: BuildSettings, may_add: bool) -> Grown | None:
    """The atlas in `folder` with these photos and layers added, or continued if it was added to before.

    may_add: whether what it does not have may be added
    None where there is no atlas, or where it has to be what its plan says: nothing was ever added, nor may be.
    Raises UsageError for photos that cannot be added, PlanChanged where those that are there have changed, NotAnAtlas
    where nobody knows any more which these are.
    """
    if not (folder / "plan.json").is_file():
        return None
    if AtlasFolder(folder).is_altered("plan.json"):
        return None  # planning.py writes it again, where the command makes the same one
    files = AtlasFolder.existing(folder)
    atlas = Atlas(files)
    if not may_add and len(atlas.collections) == 1:
        return None
    for kind, said in (("vectors", "given vectors"), ("compared", "a comparison")):
        if kind in atlas.plan:
            raise UsageError(f"{folder} is an atlas of {said}; nothing can be added to it, so make it anew with all")
    there = atlas.layer_names
    named = [info.name for info in chosen_layers(network, settings.layers)] if settings.layers else []
    layers = [name for name in named if name not in there]
    whole, first = _all_photos(atlas, source)
    last = len(whole.records)
    new = [Collection(tuple(layers), 0, first)] if layers else []
    if last > first:
        in_order = [info.name for info in chosen_layers(network, [*there, *layers])]
        new.append(Collection(tuple(in_order), first, last))
    if new and not may_add:
        return None  # refused as any other plan is
    sides = {side for name in there for side in atlas.layer(name).grid_sides} | set(atlas.plan.get("grids", ()))
    grids, title = tuple(sorted(sides | set(settings.grids))), settings.title or atlas.title
    how = replace(settings, layers=(*there, *layers), grids=grids, title=title)
    return Grown(whole, how, [*atlas.collections, *new], new)


def _all_photos(atlas: Atlas, source: ImageSource) -> tuple[ImageSource, int]:
    """The atlas's photos, then those of the source that it does not have; and how many are its own."""
    images = atlas.plan["images"]
    if images["has_files"] != isinstance(source, FileSource):
        raise UsageError(
            f"{atlas.folder} was begun with {images['spec']}, and photos in files of their own do not go together with "
            f"photos in shards or datasets; bring {source.spec} into the form of the others, or build another atlas"
        )
    if not images["has_files"]:
        return _joined(atlas, source)
    own = _own_entries(atlas, source)
    _require_unchanged(atlas, FileSource(images["spec"], own))
    known = {path for path, _ in own}
    more = [(record.path, record.columns) for record in source.records if record.path not in known]
    if not more:
        return FileSource(images["spec"], own, is_found_by_spec=False), len(own)
    names = dict.fromkeys([*own[0][1], *source.column_names])
    entries = [(path, {name: columns.get(name, "") for name in names}) for path, columns in [*own, *more]]
    if known <= {record.path for record in source.records}:
        spec = source.spec
    elif images["spec"].endswith(source.spec):  # it was added to before
        spec = images["spec"]
    else:
        spec = f"{images['spec']} and {source.spec}"
    return FileSource(spec, entries, is_found_by_spec=False), len(own)


def _joined(atlas: Atlas, source: ImageSource) -> tuple[ImageSource, int]:
    """As `_all_photos`, of photos in shards, datasets and sources of plug-ins."""
    images = atlas.plan["images"]
    if listing_sha256(source) == images["listing_sha256"] or _continues(source, images):
        return source, images["listed"]
    own = open_source(images["spec"])
    if listing_sha256(own) != images["listing_sha256"]:
        raise PlanChanged(
            f"{images['spec']}, which {atlas.folder} was made of, holds other photos than then; put it back as it was, "
            "and what is new beside it, to be added by a name of its own"
        )
    joined = JoinedPhotos([own, source])
    return (joined if len(joined) > images["listed"] else own), images["listed"]


def _continues(source: ImageSource, images: dict[str, Any]) -> bool:
    """Whether it is the atlas's own photos with further files behind them."""
    content_of = getattr(source, "content_of", None)
    count = images["listed"]
    if content_of is None or len(source.records) <= count or (content := content_of(count)) is None:
        return False
    return listing_sha256(source, count, content) == images["listing_sha256"]


def _own_entries(atlas: Atlas, source: ImageSource) -> list[Entry]:
    """Paths and columns, as they were listed; where the table of them is lost or damaged, as they are listed again."""
    images = atlas.plan["images"]
    if atlas.files.is_altered("images.csv") or not (atlas.folder / "images.csv").is_file():
        return [(record.path, record.columns) for record in _listed_again(atlas, source).records]
    # One that was being replaced is not in the journal: the old or the new list, whose beginning has the plan's hash.
    table = read_images(atlas.files, "images.csv")[: images["listed"]]
    called = {f"list_{name}": name for name in TAKEN_COLUMNS}
    columns = images["columns"]
    return [
        (path, {called.get(name, name): value for name, value in zip(columns, values, strict=True)})
        for path, *values in zip(table["path"], *(table[name] for name in columns), strict=True)
    ]


def _listed_again(atlas: Atlas, source: ImageSource) -> ImageSource:
    """Raises NotAnAtlas where nothing lists its photos in their order, as once those of another folder were added."""
    images = atlas.plan["images"]
    if listing_sha256(source) == images["listing_sha256"]:
        return source
    with suppress(ImageError):
        own = open_source(images["spec"])
        if listing_sha256(own) == images["listing_sha256"]:
            return own
    raise NotAnAtlas(
        f"{atlas.folder / 'images.csv'} is lost or damaged, and {images['spec']} does not list its photos in their "
        "order; bring the file back from a copy, or build another atlas"
    )


def _require_unchanged(atlas: Atlas, own: FileSource) -> None:
    images = atlas.plan["images"]
    is_same = listing_sha256(own) == images["listing_sha256"]
    if is_same and images.get("contents_sha256") in (None, contents_sha256(own)):
        return
    gone = [record.path for record in own.records if not os.path.exists(record.path)]
    which = f"{len(gone)} are gone, such as {gone[0]}" if gone else "some have other content"
    raise PlanChanged(
        f"of the photos that {atlas.folder} was made of, {which}; put them back as they were, or build another atlas"
    )
