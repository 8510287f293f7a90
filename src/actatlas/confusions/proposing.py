"""The search: of thousands of patches that speak for a foreign class, those that seem to deceive."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from actatlas.atlas import Grid, Layer
from actatlas.collect import photo_order
from actatlas.confusions.candidates import (
    Cut,
    PhotoClasses,
    box_in_photo,
    cut_photo,
    draw_rows,
    find_evidence,
)
from actatlas.confusions.pasting import Spot, logits_of, shrunk, side_px
from actatlas.confusions.photos import Photos, columns_of, commonest, fingerprint, see_photos, truths_by_columns
from actatlas.confusions.related import related_classes
from actatlas.confusions.trials import Pair, Trials, has_own
from actatlas.errors import TooFewImages, UsageError
from actatlas.networks import Network, lightened
from actatlas.progress import Progress

# Photos that patches are tried on are drawn from so many of the atlas's: their logits are all kept.
_POOL = 1000
_ACTIVATIONS = 15_000  # among whose patches is searched


@dataclass(frozen=True)
class SearchSettings:
    """How misunderstandings are searched.

    top: proposals wanted; share: a tried patch's side, as a share of the input's
    effort: so many times as many patches and pairs are looked at; it takes nearly as many times as long
    at_random: random pairs of class and patch instead, the search's own control
    """

    top: int = 20
    share: float = 0.4
    effort: int = 1
    at_random: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"top is {self.top}; ask for at least 1 proposal")
        if self.effort < 1:
            raise UsageError(f"effort is {self.effort}; 1 is the least")


@dataclass(frozen=True)
class Proposal:
    """A class, and a patch of something else that speaks for it.

    rank: 1 first; target: index of the class; concept: what the patch's photo is, by its label or else by the network
    row: of the layer's activations; k: of the grid's cells, where it lies
    attribution: of the activation, cell_attribution: of the cell, to the target, in logits over the layer's average
    px: the patch's side, in network input pixels of the photo or crop that it is from
    patch_box: of the patch in the upright photo, as fractions: left, top, right, bottom
    spot: the best corner of the trial; tried: share of its photos that the patch turned there
    tried_on: fingerprints of photos that only the search may use; source: of the patch's own photo
    labels, predictions: of the photos in the cell, the commonest with their numbers
    """

    rank: int
    target: int
    concept: str
    row: int
    k: int
    attribution: float
    cell_attribution: float
    image_id: int
    px: int
    patch_box: tuple[float, float, float, float]
    spot: Spot
    tried: float
    tried_on: tuple[str, ...]
    source: str
    labels: tuple[tuple[str, int], ...]
    predictions: tuple[tuple[str, int], ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Proposal:
        made = value | {"spot": Spot(**value["spot"])}
        for name in ("patch_box", "tried_on"):
            made[name] = tuple(value[name])
        for name in ("labels", "predictions"):
            made[name] = tuple((text, count) for text, count in value[name])
        return cls(**made)


def propose(
    network: Network, layer: Layer, grid: Grid, settings: SearchSettings, progress: Progress
) -> list[tuple[Proposal, Image.Image]]:
    """Proposals, the most hopeful first, each with its patch as it is in the photo.

    Every class and every photo stands in the list once. Fewer than asked for where nothing more is found.

    Raises NoAttributions, NetworkError without logits, TooFewImages.
    """
    return _Search(network, layer, grid, settings, progress).run()


class _Search:
    def __init__(self, network: Network, layer: Layer, grid: Grid, settings: SearchSettings, progress: Progress):
        self.network, self.layer, self.grid, self.settings, self.progress = network, layer, grid, settings, progress
        self.atlas = layer.atlas
        self.names = self.atlas.class_names
        self.side_px = side_px(settings.share, network.preprocessing.input_px)
        self.image_ids = layer.places.image_ids
        images = self.atlas.images
        self.used = np.asarray(images["id"][images["skipped"].isna()], np.int64)
        self.truths = truths_by_columns(columns_of(self.atlas), self.names)

    def run(self) -> list[tuple[Proposal, Image.Image]]:
        settings, quick = self.settings, lightened(self.network, [self.layer.name])
        pool = self._see_pool()
        self.related = related_classes(self.network, pool.logits)
        self.said = PhotoClasses.of(self.atlas, self.truths)
        rows = draw_rows(self.layer, self.grid, settings.effort * _ACTIVATIONS, settings.seed)
        evidence = find_evidence(self.layer, self.grid, rows, self.said, self.related)
        self.evidence = evidence
        self.trials = Trials(quick, self.layer, pool, self.related, self.side_px)
        pairs = (
            self._drawn()
            if settings.at_random
            else self.trials.best(evidence, settings.effort, settings.top, self.progress)
        )
        return self._listed(pairs)

    def _see_pool(self) -> Photos:
        ids = self.used[photo_order(len(self.used), self.settings.seed)][:_POOL].tolist()
        every = range(len(self.names))
        # By the network itself: a proof ranks the photos anew, and what was tried on may not be scored.
        pool = see_photos(self.network, self.atlas.source, ids, self.truths, every, self.progress)
        if len(pool) < 2:
            raise TooFewImages(
                f"{len(pool)} of {len(ids)} photos of {self.atlas.folder} can be read; put them back where they were"
            )
        return pool

    def _drawn(self) -> list[Pair]:
        """The search's own control: random pairs of an activation and a class that its photo has nothing of."""
        random = np.random.default_rng(self.settings.seed)
        pairs = []
        for row in random.permutation(self.evidence.rows)[: 4 * self.settings.top].tolist():
            foreign = np.flatnonzero(self.said.foreign(int(self.image_ids[row]), self.related))
            if len(foreign):
                pairs.append(Pair(int(random.choice(foreign)), Cut(row, min(self.layer.patch_px, self.side_px))))
        return self.trials.at_most(1, pairs)

    # --- the list

    def _listed(self, pairs: list[Pair]) -> list[tuple[Proposal, Image.Image]]:
        """Once more without what the network itself, and not a quicker copy, sees of the target in a patch."""
        found: list[tuple[Proposal, Image.Image]] = []
        for pair in pairs:
            photo = self.atlas.source.read(int(self.image_ids[pair.cut.row]))
            cut = cut_photo(self.layer, photo, pair.cut)
            if self._has_own(cut, pair.target):
                continue
            source = fingerprint(self.network.pixels(photo))
            found.append((self._proposal(len(found) + 1, pair, source), cut))
            if len(found) == self.settings.top:
                break
        return found

    def _has_own(self, cut: Image.Image, target: int) -> bool:
        """Whether the patch alone, as it is in the photo or as it is pasted, has the target in what it is."""
        inputs = torch.stack([self.network.pixels(cut), self.network.pixels(shrunk(cut, self.side_px))])
        return bool(has_own(logits_of(self.network, inputs), torch.tensor([target] * 2), self.related).any())

    def _proposal(self, rank: int, pair: Pair, source: str) -> Proposal:
        target, row = pair.target, pair.cut.row
        image_id, at = int(self.image_ids[row]), int(np.searchsorted(self.evidence.rows, row))
        k = int(self.evidence.cells[at])
        over = self.grid.attributions_over_mean
        assert over is not None  # find_evidence has seen to it
        photos = self.grid.photos(k).tolist()
        labels = [self.names.labels[self.truths[i][0]] for i in photos if i in self.truths]
        tried_on = [self.trials.pool.pixels(int(r)) for r in self.trials.photos_for(target, image_id)]
        return Proposal(
            rank=rank, target=target, concept=self._called(image_id), row=row, k=k,
            attribution=round(float(self.evidence.attributions[at, target]), 4),
            cell_attribution=round(float(over[k, target]), 4),
            image_id=image_id, px=pair.cut.px, patch_box=box_in_photo(self.layer, pair.cut),
            spot=Spot(self.settings.share, pair.corners[0]), tried=round(pair.tried, 4),
            tried_on=tuple(fingerprint(pixels) for pixels in tried_on), source=source,
            labels=tuple(commonest(labels)), predictions=tuple(commonest([self._taken_for(i) for i in photos])),
        )  # fmt: skip

    def _called(self, image_id: int) -> str:
        """A photo's label, or what the network takes it for."""
        truth = self.truths.get(image_id)
        return self.names.labels[truth[0]] if truth else self._taken_for(image_id)

    def _taken_for(self, image_id: int) -> str:
        return self.names.labels[self.said.found[image_id]]
