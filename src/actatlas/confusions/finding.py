"""The list of what a network misunderstands: searched, kept in the atlas folder, proven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas.atlas import Grid
from actatlas.confusions.candidates import Cut, PhotoClasses, cut_photos
from actatlas.confusions.keeping import Confusion, hash_of, read_list, write_list
from actatlas.confusions.pasting import side_px
from actatlas.confusions.photos import columns_of, see_photos, truths_by_columns
from actatlas.confusions.proposing import SearchSettings, propose
from actatlas.confusions.proving import PHOTOS, Second, grey, halves, noise, prove, real
from actatlas.confusions.splicing import Splicing
from actatlas.networks import Network, folded, kept_memory, lightened
from actatlas.progress import Progress
from actatlas.store import AtlasFolder, paths, writing
from actatlas.values import ImageSource


class Confusions:
    """What a network misunderstands, by one layer of an atlas; with proofs, the best proven first.

    tested: what the proofs are on, None without any
    """

    def __init__(self, grid: Grid, settings: SearchSettings, entries: Sequence[Confusion], tested: Any = None):
        self.grid = grid
        self.layer = grid.layer
        self.settings = settings
        self.entries = list(entries)
        self.tested = tested

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> Confusion:
        return self.entries[i]

    def name(self, index: int) -> str:
        return self.layer.atlas.class_names.labels[index]

    def story(self, rank: int) -> str:
        """In one line, with its proof."""
        return self.entries[rank - 1].told(self.layer.atlas.class_names.labels)

    def to_json(self) -> list[dict[str, Any]]:
        return [self._entry(rank, entry) for rank, entry in enumerate(self.entries, 1)]

    def table(self) -> pd.DataFrame:
        """A row a proposal, in the list's order."""
        rows = []
        for value in self.to_json():
            controls = value.pop("controls") or {}
            low, high = value.pop("interval") or (None, None)
            rows.append(value | {"low": low, "high": high} | controls)
        return pd.DataFrame(rows)

    def photos_behind(self) -> pd.DataFrame:
        """The photos that carry each foreign concept: of the proposal's cell, those that speak for the target.

        Columns: rank, target, concept, path, the images' own columns, attribution (the photo's strongest activation in
        the cell, to the target, in logits over the layer's average), and whether the patch is from it. Of the cell's
        activations those that carry attributions.
        """
        atlas, found = self.layer.atlas, []
        images = atlas.images.set_index("id")
        for rank, entry in enumerate(self.entries, 1):
            proposal, rows = entry.proposal, self.layer.carrying(self.grid.members(entry.proposal.k))
            values = self.layer.attributions_over_mean(rows)[:, proposal.target]
            ids = self.layer.places.image_ids[rows]
            strongest = pd.Series(values).groupby(ids).max().sort_values(ascending=False, kind="stable")
            for image_id, value in strongest[strongest > 0].items():
                row = images.loc[image_id].drop("skipped").to_dict()
                found.append(
                    {"rank": rank, "target": self.name(proposal.target), "concept": proposal.concept}
                    | row | {"attribution": round(float(value), 4), "is_patch": image_id == proposal.image_id}
                )  # fmt: skip
        return pd.DataFrame(found)

    def _entry(self, rank: int, entry: Confusion) -> dict[str, Any]:
        proposal, proof, layer = entry.proposal, entry.proof, self.layer
        spot = proof.patch.spot if proof else proposal.spot
        images = layer.atlas.images
        files = layer.atlas.folder

        def picture(kind: str) -> str | None:
            path = paths.confusion_picture(layer.name, kind, proposal.rank)
            return str(files / path) if layer.atlas.files.has(path) else None

        column, row = self.grid.coordinates[proposal.k].tolist()
        return {
            "rank": rank, "target": self.name(proposal.target), "concept": proposal.concept, "layer": layer.name,
            "grid": self.grid.side, "cell": f"{column},{row}",
            "patch_image": str(images["path"][images["id"] == proposal.image_id].iloc[0]),
            "patch_box": list(proposal.patch_box), "patch_file": picture("pasted"),
            "side_px": side_px(spot.share, layer.atlas.preprocessing.input_px), "corner": spot.corner,
            "proposed_rank": proposal.rank, "tried": proposal.tried,
            "tested": proof.scored if proof else 0, "flip_rate": proof.patch.rate if proof else None,
            "interval": list(proof.patch.interval) if proof else None,
            "controls": {name: arm.rate for name, arm in proof.controls.items()} if proof else None,
            "icon_flip_rate": proof.icon.rate if proof else None, "transfer": proof.transfer if proof else None,
            "attribution": proposal.attribution, "cell_attribution": proposal.cell_attribution,
            "count": int(self.grid.counts[proposal.k]), "images": int(self.grid.image_counts[proposal.k]),
            "labels": dict(proposal.labels), "predictions": dict(proposal.predictions),
            "patch_original": picture("patch"), "story": picture("story"),
            "example": proof.example if proof else None,
        }  # fmt: skip


@kept_memory()
def find_confusions(
    network: Callable[[], Network], grid: Grid, settings: SearchSettings, progress: Progress
) -> Confusions:
    """Searched now, or as found before with the same settings. Kept in the atlas folder.

    Raises UnfinishedAtlas, NoAttributions, NetworkError, TooFewImages, Locked.
    """
    grid = _as_it_is_now(grid)  # a list may have been written since the atlas was opened
    layer = grid.layer
    layer.atlas.require_activations("ask what its network misunderstands")
    kept = read_list(layer, grid, settings)
    if kept is not None:
        return Confusions(grid, settings, *kept)
    with writing(layer.atlas.folder):
        found = propose(folded(network(), [layer.name]), layer, grid, settings, progress)
        entries = [Confusion(proposal, patch) for proposal, patch in found]
        write_list(layer, grid, settings, entries)
    return reopened(grid, settings, entries, None)


@dataclass(frozen=True)
class Test:
    """images: photos to test on; second: another network, in which the transfer is measured"""

    images: ImageSource
    second: Network | None = None
    seed: int = 0

    def key(self) -> dict[str, Any]:
        listed = [(record.path, sorted(record.columns.items())) for record in self.images.records]
        return {
            "images": self.images.spec, "listing": hash_of(listed), "seed": self.seed,
            "second": self.second and self.second.weights_sha256,
        }  # fmt: skip


@kept_memory()
def prove_confusions(network: Callable[[], Network], found: Confusions, test: Test, progress: Progress) -> Confusions:
    """Each proposal on photos; the best proven first, by what the patch turns beyond the strongest control.

    Raises TooFewImages where there is too little to test on.
    """
    grid, layer = found.grid, found.layer
    if not found.entries or found.tested == test.key():
        return found
    quick = folded(network(), [layer.name])
    choosing = Splicing(lightened(quick, [layer.name]))
    records = test.images.records
    truths = truths_by_columns({record.id: record.columns for record in records}, layer.atlas.class_names)
    targets = [entry.proposal.target for entry in found.entries]
    photos = see_photos(quick, test.images, range(len(records)), truths, targets, progress)
    progress.say(_about(len(photos), photos.labelled_count))
    second = Second.of(test.second, layer.atlas.class_names.labels) if test.second else None
    others = _other_patches(found, test.seed)
    proven, fewest = [], PHOTOS
    with progress.stage("Testing proposals", len(found), "proposals") as tick:
        for entry, other in zip(found.entries, others, strict=True):
            proposal = entry.proposal
            chosen = halves(photos, proposal.target, proposal.source, proposal.tried_on, test.seed)
            fewest = min(fewest, len(chosen.choosing) + len(chosen.scoring))
            arms = {
                "patch": real(entry.patch), "icon": real(Image.fromarray(grid.icons[proposal.k])),
                "noise": noise(test.seed + proposal.rank), "grey": grey(), "other_patch": real(other),
            }  # fmt: skip
            proven.append(replace(entry, proof=prove(quick, choosing, proposal.target, arms, chosen, second)))
            tick(1)
    if fewest < PHOTOS:
        progress.say(
            f"some proposals were tested on {fewest} photos instead of {PHOTOS}, half of them scored: with so few an "
            f"interval reaches up to {1 / max(fewest // 2, 1) ** 0.5:.0%} to either side; give more photos"
        )
    proven.sort(key=lambda entry: -(entry.proof.effect if entry.proof else 0.0))
    with writing(layer.atlas.folder):
        write_list(layer, grid, found.settings, proven, test.key())
    return reopened(grid, found.settings, proven, test.key())


def reopened(grid: Grid, settings: SearchSettings, entries: Sequence[Confusion], tested: Any) -> Confusions:
    """With an atlas that knows the files that have just been written."""
    return Confusions(_as_it_is_now(grid), settings, entries, tested)


def _as_it_is_now(grid: Grid) -> Grid:
    """Of an atlas that knows all files of its folder."""
    layer = grid.layer
    again = type(layer.atlas)(AtlasFolder.existing(layer.atlas.folder))
    return again.layer(layer.name).grid(grid.side)


def _about(count: int, labelled: int) -> str:
    told = f"{count:,} photos to test on"
    if not labelled:
        return f"{told}; no column names classes of the network, so it is taken to be right about them"
    return f"{told}, {labelled:,} with a label that is a class of the network; those it is wrong about are left out"


def _other_patches(found: Confusions, seed: int) -> list[Image.Image]:
    """For each entry a random patch as large, of another photo that has nothing of the target."""
    layer = found.layer
    ids = layer.places.image_ids
    atlas_truths = truths_by_columns(columns_of(layer.atlas), layer.atlas.class_names)
    held = PhotoClasses.of(layer.atlas, atlas_truths).held
    cuts = []
    for entry in found.entries:
        proposal = entry.proposal
        random = np.random.default_rng((seed, proposal.rank))
        row = next(
            int(row) for row in random.permutation(len(ids))
            if int(ids[row]) != proposal.image_id and proposal.target not in held.get(int(ids[row]), ())
        )  # fmt: skip
        cuts.append(Cut(row, proposal.px))
    patches = dict(cut_photos(layer, cuts, lambda patch: patch))
    return [patches[cut] for cut in cuts]
