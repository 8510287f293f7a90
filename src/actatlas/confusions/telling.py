"""From proven misunderstandings to pictures of them in the atlas folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from actatlas.atlas import ClassAtlas, Grid
from actatlas.confusions.experiment import paste_and_look
from actatlas.confusions.finding import Confusions, reopened
from actatlas.confusions.keeping import Confusion, write_picture
from actatlas.confusions.pasting import side_px
from actatlas.confusions.story import Scene, draw_story, foreign_cell
from actatlas.errors import TooFewImages, UsageError
from actatlas.images import open_source
from actatlas.networks import Network
from actatlas.progress import Progress, Silent
from actatlas.store import AtlasFolder, writing

# Of a class's atlas: so many of the layer's activations, to hold what is strong evidence, as the original took.
_CLASS_GRID, _SHARE, _MOST = 8, 0.05, 2500


def write_stories(
    network: Callable[[], Network],
    class_atlas: Callable[..., ClassAtlas],
    found: Confusions,
    count: int,
    progress: Progress,
) -> Confusions:
    """Of the first `count` entries, which must be proven. Raises UsageError where they are not."""
    if found.entries and found.tested is None:
        raise UsageError("a story needs its proof; test the proposals first: actatlas confusions DIR --test IMAGES")
    atlas, drawn = found.layer.atlas, []
    with progress.stage("Telling stories", min(count, len(found)), "stories") as tick:
        for rank, entry in enumerate(found.entries[:count], 1):
            drawn.append((entry.proposal.rank, _story(network(), class_atlas, found, rank, entry)))
            tick(1)
    with writing(atlas.folder):
        files = AtlasFolder.existing(atlas.folder)
        with files.reopened():
            for rank, picture in drawn:
                write_picture(files, found.layer, "story", rank, picture)
    return reopened(found.grid, found.settings, found.entries, found.tested)


def _story(
    network: Network, class_atlas: Callable[..., ClassAtlas], found: Confusions, rank: int, entry: Confusion
) -> Image.Image:
    proposal, proof = entry.proposal, entry.proof
    assert proof is not None  # write_stories has seen to it
    spot = proof.patch.spot
    seen = paste_and_look(
        network, [(proof.example, _photo(found, proof.example))], entry.patch, proposal.target,
        shares=[spot.share], corners=[spot.corner], progress=Silent(),
    )  # fmt: skip
    title, _, proven = found.story(rank).partition(": ")
    names = found.layer.atlas.class_names.labels
    pasted_px = side_px(spot.share, network.preprocessing.input_px)
    marked = _marked(class_atlas, found, entry)
    scene = Scene(*marked, entry.patch, proposal.image_id, pasted_px, seen.turns[0], proposal.target, names)
    return draw_story(f"A patch of {title}", proven, scene)


def _marked(class_atlas: Callable[..., ClassAtlas], found: Confusions, entry: Confusion) -> tuple[Grid, int]:
    """The foreign thing's cell in the class's atlas, or in the whole layer's where too little speaks for the class."""
    layer, proposal = found.layer, entry.proposal
    most = min(max(int(_SHARE * layer.activation_count), 8 * _CLASS_GRID**2), _MOST)
    how: dict[str, Any] = {"layer": layer.name, "grid": _CLASS_GRID, "most": most, "min_images": 1}
    try:
        atlas = class_atlas(proposal.target, **how, progress=Silent())
    except TooFewImages:
        return found.grid, proposal.k
    return atlas.grid(atlas.side), foreign_cell(atlas, proposal.row)


def _photo(found: Confusions, path: str) -> Image.Image:
    if Path(path).is_file():
        return open_source([path]).read(0)
    source = open_source(found.tested["images"])  # photos that lie in packages have names, not paths
    return source.read(next(record.id for record in source.records if record.path == path))
