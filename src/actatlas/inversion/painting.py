"""Targets → pictures, each with the pictures that it may start from and those that it must be told from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import normalize

from actatlas.errors import NetworkError, UsageError
from actatlas.inversion.renderer import Renderer
from actatlas.inversion.rounds import Round, most_similar, plan_rounds
from actatlas.inversion.settings import InversionSettings
from actatlas.inversion.sheet import Sheet
from actatlas.networks import Network
from actatlas.values import ColourStatistics, Expectation

_MENDINGS = 5  # of those that still are not told from the others, each longer and firmer than the one before
_SLIM = 1e-4  # a margin that may be none in a batch of another size
_PART = 256  # rows whose cosines to all targets are held at once
_RIVALS = 63  # most similar targets that an answer is told from


def invert(
    network: Network,
    layer: str,
    targets: np.ndarray,
    mean: np.ndarray,
    colour: ColourStatistics,
    settings: InversionSettings,
    keys: np.ndarray,
    expectation: Expectation | None = None,
) -> np.ndarray:
    """Pictures whose answer at the layer's centre points the way of their target, both less the layer's mean.

    targets: (K, C); mean: (C,); keys: (K,) integers, each the seed of one picture
    colour: of the photos that the pictures are to look like; expectation: what photos look like given an activation
    The same targets, keys and settings give the same pictures (same machine, versions and threads).
    Returns (K, S, S, channels) uint8, S by `InversionSettings.size_px`; channels are 3, also for a grey network (all
    equal), or the network's own where it takes more.

    Raises UsageError for targets that are no directions of this layer, NetworkError for lasting NaN.
    """
    _check_colour(network, colour)
    renderer = Renderer(network, layer, mean, colour, settings, expectation)
    painting = Painting(renderer, targets, mean, settings, keys)
    painting.paint_rounds()
    painting.mend()
    return painting.pictures


class Painting:
    """One set of targets, round by round; each may be painted here, or given back as it was painted before.

    rounds: which targets are painted together, in order
    pictures: (K, S, S, channels) uint8, zeros where a picture has not been painted yet
    """

    def __init__(
        self,
        renderer: Renderer,
        targets: np.ndarray,
        mean: np.ndarray,
        settings: InversionSettings,
        keys: np.ndarray,
        after: Painting | None = None,
        others: np.ndarray | None = None,
    ):
        """after: other targets of this layer, painted before; theirs are pictures to start from.

        others: (M, C) further targets that the answers are to be told from
        """
        _check(renderer.layer, renderer.channel_count, targets, mean, keys)
        self.renderer, self._settings, self._keys = renderer, settings, np.asarray(keys)
        self._mean = np.asarray(mean, np.float32)
        self._centred = np.asarray(targets, np.float32) - self._mean
        self._directions = directions_of(targets, mean)
        more = directions_of(others, mean) if others is not None else self._directions[:0]
        self._candidates = np.concatenate([self._directions, more])
        self._after: Painting | None = after if after is not None and len(after.rounds) else None
        finished = self._after._directions if self._after else None
        self.rounds: list[Round] = plan_rounds(self._directions, settings, finished)
        self.pictures: np.ndarray = np.zeros((len(self._centred), *renderer.picture_shape), np.uint8)
        self._own_correction = renderer.no_correction
        self._done = 0

    @property
    def corrects(self) -> bool:
        """Whether each round corrects those that follow; else the pictures painted before do."""
        return self._after is None

    @property
    def correction(self) -> np.ndarray:
        """(F,) see `Renderer.paint`. Where all pictures lack the same, those that follow aim as far beyond."""
        return self._after.correction if self._after else self._own_correction

    @property
    def work(self) -> int:
        """Steps of all rounds, of every picture."""
        return sum(len(turn.rows) * turn.steps for turn in self.rounds)

    def paint_rounds(self, tick: Callable[[int, int], None] = lambda count, work: None) -> None:
        """All of them. tick: hears after each how many pictures are new, and how much of `work` it was"""
        for turn in self.rounds:
            self.paint_round()
            tick(0 if turn.is_repeat else len(turn.rows), len(turn.rows) * turn.steps)

    def paint_round(self) -> tuple[np.ndarray, np.ndarray]:
        """The next round: its rows (n,) and its pictures (n, S, S, channels)."""
        rows = self.rounds[self._done].rows
        pictures = self.renderer.paint_sheet(self.ask_round())
        self.take_round(pictures)
        return rows, pictures

    def ask_round(self) -> Sheet:
        """What the next round is painted from, for whoever paints it; `take_round` takes the pictures."""
        turn = self.rounds[self._done]
        start = self.pictures[turn.rows] if turn.is_repeat else self._start(turn.rows)
        return self._asked(turn.rows, turn.steps, start)

    def take_round(self, pictures: np.ndarray) -> None:
        """The next round's pictures (n, S, S, channels), painted now or before."""
        turn = self.rounds[self._done]
        self.pictures[turn.rows] = pictures
        self._done += 1
        if self.corrects:
            lacking = self.renderer.lacking(pictures, self._centred[turn.rows])
            self._own_correction = self._own_correction + self._settings.correction * lacking

    def mend(self, paint: Callable[[Sheet], np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Pictures that answer more like another target, or nearly so, are painted on, told more firmly from these.

        paint: in place of the renderer's `paint_sheet`, to the same pictures
        The rows (n,) of those that it helped, and their pictures (n, S, S, channels). After all rounds.
        """
        paint = paint or self.renderer.paint_sheet
        is_mended = np.zeros(len(self._directions), bool)
        margins = self._margins(np.arange(len(self._directions)))
        for number in range(_MENDINGS):
            rows = np.flatnonzero(margins < _SLIM)
            if len(rows) <= self._settings.mistaken * len(margins):
                break
            start = self.pictures[rows]
            steps = min(self._settings.steps_of_round(1) * (number + 1), self._settings.steps_of_round(0))
            contrast = self._settings.mending_contrast * (number + 1)
            self.pictures[rows] = paint(self._asked(rows, steps, start, contrast))
            mended = self._margins(rows)
            is_worse = mended < margins[rows]
            self.pictures[rows[is_worse]] = start[is_worse]
            is_mended[rows[~is_worse]] = True
            margins[rows] = np.maximum(mended, margins[rows])
        return np.flatnonzero(is_mended), self.pictures[is_mended]

    def settle(self, pictures: np.ndarray) -> None:
        """All pictures (K, S, S, channels) as they will stay, for those that start from them."""
        self.pictures = pictures

    def _asked(self, rows: np.ndarray, steps: int, start: np.ndarray | None, contrast: float | None = None) -> Sheet:
        rivals = nearest_directions(self._candidates, rows)
        return Sheet(self._centred[rows], self._keys[rows], steps, start, rivals, self.correction, contrast)

    def _margins(self, rows: np.ndarray) -> np.ndarray:
        """(n,) by how much the cosine to its own target exceeds that to any other; 0 for what has no direction."""
        answered = directions_of(self.renderer.answers(self.pictures[rows]), self._mean)
        margins = np.empty(len(rows), np.float32)
        for first in range(0, len(rows), _PART):
            part = rows[first : first + _PART]
            cosines = answered[first : first + _PART] @ self._candidates.T
            slots = np.arange(len(part))
            own = cosines[slots, part]
            cosines[slots, part] = -np.inf
            margins[first : first + _PART] = own - cosines.max(axis=1, initial=-1.0)
        return margins

    def _start(self, rows: np.ndarray) -> np.ndarray | None:
        """For each the finished picture whose target is most similar."""
        finished = [turn.rows for turn in self.rounds[: self._done] if not turn.is_repeat]
        done = np.concatenate([np.empty(0, np.int64), *finished])
        sources = [(self._directions[done], self.pictures[done])] if len(done) else []
        if self._after:
            sources.append((self._after._directions, self._after.pictures))
        if not sources:
            return None
        directions, pictures = (np.concatenate(parts) for parts in zip(*sources, strict=True))
        return pictures[most_similar(self._directions[rows], directions)]


def picture_key(*parts: object) -> int:
    """A 63-bit seed from what a picture is of, so that it depends on nothing else."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def nearest_directions(directions: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n, R, C) of `directions` (K, C) the up to 64 most similar to each of `rows`, itself first."""
    similarity = directions[rows] @ directions.T
    similarity[np.arange(len(rows)), rows] = 2
    return directions[np.argsort(-similarity, axis=1, kind="stable")[:, : _RIVALS + 1]]


def directions_of(targets: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(K, C) float32 of length 1; zeros for a target that is the mean itself."""
    return normalize(torch.from_numpy(np.asarray(targets, np.float32) - np.asarray(mean, np.float32)), dim=1).numpy()


def require_paintable(network: Network) -> None:
    """Raises NetworkError for a network whose inputs cannot be shown."""
    if network.preprocessing.channel_count == 2:
        raise NetworkError(
            f"{network.spec} takes 2 channels, and pictures of two cannot be painted; give it a third that it ignores"
        )


def _check_colour(network: Network, colour: ColourStatistics) -> None:
    colour_count, input_count = len(colour.mean), network.preprocessing.channel_count
    if input_count not in (1, colour_count):
        raise UsageError(
            f"{network.spec} takes {input_count} channels, but the colours of the photos have {colour_count}; give "
            f"ColourStatistics with a mean of ({input_count},) and a covariance of ({input_count}, {input_count})"
        )


def _check(layer: str, channel_count: int, targets: np.ndarray, mean: np.ndarray, keys: np.ndarray) -> None:
    if targets.ndim != 2 or targets.shape[1] != channel_count or mean.shape != (channel_count,):
        raise UsageError(
            f'layer "{layer}" has {channel_count} channels: targets are (K, {channel_count}) and their mean is '
            f"({channel_count},), not {targets.shape} and {mean.shape}"
        )
    if len(keys) != len(targets):
        raise UsageError(f"one key a target: {len(targets)} targets, but {len(keys)} keys")
    broken = np.flatnonzero(~np.isfinite(targets).all(axis=1))
    if len(broken):
        raise UsageError(
            f'target {broken[0]} of layer "{layer}" holds NaN or infinity; leave such activations out before averaging'
        )
    if not np.isfinite(mean).all():
        raise UsageError(f'the mean of layer "{layer}" holds NaN or infinity; leave such activations out of it')
