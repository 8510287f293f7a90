"""Where the list lies in the atlas folder: written whole, read again by the same settings."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from actatlas.atlas import Grid, Layer
from actatlas.confusions.pasting import shrunk, side_px
from actatlas.confusions.proposing import Proposal, SearchSettings
from actatlas.confusions.proving import Proof
from actatlas.store import AtlasFolder, paths, pictures


@dataclass(frozen=True)
class Confusion:
    """A proposal with its patch as it is in the photo, and its proof, if it was tested."""

    proposal: Proposal
    patch: Image.Image
    proof: Proof | None = None

    def told(self, names: Sequence[str]) -> str:
        """In one line, with its proof; names: of the classes."""
        what = f"{self.proposal.concept} taken for {names[self.proposal.target]}"
        if self.proof is None:
            return f"{what}: turned {self.proposal.tried:.0%} of the photos that it was tried on; not tested yet"
        controls = ", ".join(f"{name.replace('_', ' ')} {arm.rate:.0%}" for name, arm in self.proof.controls.items())
        low, high = self.proof.patch.interval
        turned = f"turns {self.proof.patch.rate:.0%} of {self.proof.scored} photos ({low:.0%} to {high:.0%})"
        return f"{what}: {turned}; {controls}"


@dataclass(frozen=True)
class Kept:
    """A list as it lies in the atlas folder.

    grid: its side; settings: those of the search, as JSON has them; tested: what the proofs are on, None without any
    """

    grid: int
    settings: dict[str, Any]
    entries: list[Confusion]
    tested: Any


def read_kept(layer: Layer) -> Kept | None:
    """What was found by this layer, whatever the settings; None where nothing was."""
    files = layer.atlas.files
    path = paths.confusion_list(layer.name)
    if not files.has(path):
        return None
    kept = files.read_json(path)
    entries = []
    for value in kept["entries"]:
        proposal = Proposal.from_json(value["proposal"])
        data = files.read_bytes(paths.confusion_picture(layer.name, "patch", proposal.rank))
        proof = value["proof"] and Proof.from_json(value["proof"])
        entries.append(Confusion(proposal, Image.open(io.BytesIO(data)).convert("RGB"), proof))
    return Kept(kept["grid"], kept["settings"], entries, kept["tested"])


def has_patches(layer: Layer) -> bool:
    """Whether the patches of what was found are here: a published copy may tell of them alone."""
    found = layer.atlas.files.committed(paths.confusions(layer.name))
    return any(path.endswith("-patch.png") for path in found)


def read_list(layer: Layer, grid: Grid, settings: SearchSettings) -> tuple[list[Confusion], Any] | None:
    """The entries, and what they were tested on; None where nothing was found with these settings yet."""
    kept = read_kept(layer)
    if kept is None or (kept.settings, kept.grid) != (asdict(settings), grid.side):
        return None
    return kept.entries, kept.tested


def write_list(
    layer: Layer, grid: Grid, settings: SearchSettings, entries: Sequence[Confusion], tested: Any = None
) -> None:
    """tested: what the proofs are on, None without any. The caller holds the atlas's lock."""
    files = AtlasFolder.existing(layer.atlas.folder)
    input_px = layer.atlas.preprocessing.input_px
    with files.reopened():
        files.forget(paths.confusions(layer.name))
        for entry in entries:
            spot = entry.proof.patch.spot if entry.proof else entry.proposal.spot
            pasted = shrunk(entry.patch, side_px(spot.share, input_px))
            for kind, picture in (("patch", entry.patch), ("pasted", pasted)):
                write_picture(files, layer, kind, entry.proposal.rank, picture)
        # Last: without it there is no list.
        files.write_json(
            paths.confusion_list(layer.name),
            {
                "layer": layer.name, "grid": grid.side, "settings": asdict(settings), "tested": tested,
                "entries": [
                    {
                        "proposal": e.proposal.to_json(), "proof": e.proof and e.proof.to_json(),
                        "told": e.told(layer.atlas.class_names.labels),
                    }
                    for e in entries
                ],
            },
        )  # fmt: skip


def write_picture(files: AtlasFolder, layer: Layer, kind: str, rank: int, picture: Image.Image) -> None:
    files.write(paths.confusion_picture(layer.name, kind, rank), pictures.png(picture))


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()
