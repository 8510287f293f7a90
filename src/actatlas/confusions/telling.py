"""From proven misunderstandings to pictures of them in the atlas folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actatlas.atlas import ClassAtlas
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
) -> Any:
    proposal, proof = entry.proposal, entry.proof
    assert proof is not None  # write_stories has seen to it
    names = found.layer.atlas.class_names.labels
    marked = (found.grid, proposal.k)
    try:
        most = min(max(int(_SHARE * found.layer.activation_count), 8 * _CLASS_GRID**2), _MOST)
        how: dict[str, Any] = {"layer": found.layer.name, "grid": _CLASS_GRID, "most": most, "min_images": 1}
        atlas = class_atlas(proposal.target, **how, progress=Silent())
        marked = (atlas.grid(atlas.side), foreign_cell(atlas, proposal.row))
    except TooFewImages:
        pass  # the whole layer's map shows the cell too
    photo = open_source([proof.example]).read(0)
    spot = proof.patch.spot
    turn = paste_and_look(
        network, [(proof.example, photo)], entry.patch, proposal.target, shares=[spot.share], progress=Silent()
    ).turns[0]
    title = f"{proposal.concept}, taken for {names[proposal.target]}"
    pasted_px = side_px(spot.share, network.preprocessing.input_px)
    return draw_story(title, found.story(rank), Scene(*marked, entry.patch, pasted_px, turn, proposal.target, names))
