"""In which order pictures are painted: a few from nothing, far apart; every other one starts from a finished one.

Neighbouring targets have much in common, so a picture that starts from its most similar finished one needs half of the
steps. The first ones are gone over again and again, each time measured: what they lack of photos' look in common is
made good, and all that start from them have it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actatlas.inversion.settings import InversionSettings

_PER_ROUND = 64
_DOUBLINGS = 2  # rounds that double what there is
_ORDERED = 512  # so many are taken farthest first; the others are near one of them


@dataclass(frozen=True)
class Round:
    """rows: (n,) int64, the targets painted together; steps: of each

    is_repeat: they were painted before, and start from themselves
    """

    rows: np.ndarray
    steps: int
    is_repeat: bool


@dataclass(frozen=True)
class RoundSize:
    """count: pictures of a round; steps: of each; is_repeat: of the pictures of the round before"""

    count: int
    steps: int
    is_repeat: bool = False


def plan_rounds(directions: np.ndarray, settings: InversionSettings, finished: np.ndarray | None = None) -> list[Round]:
    """Every target once, those of the first round again and again.

    directions: (K, C), each of length 1; finished: (F, C) those of pictures that are there already, to start from
    The first round is painted from nothing, then repeated; two more double what there is, all later ones have 64.
    """
    if not len(directions):
        return []
    has_parents = finished is not None and len(finished) > 0
    order = _farthest_first(directions, finished if has_parents else None)
    rounds: list[Round] = []
    done = 0
    for size in round_sizes(len(order), settings, has_parents):
        done += 0 if size.is_repeat else size.count
        rows = order[done - size.count : done]
        rounds.append(Round(rows, size.steps, size.is_repeat))
    return rounds


def round_sizes(count: int, settings: InversionSettings, has_parents: bool = False) -> list[RoundSize]:
    """Of all rounds for so many targets. Pictures to start from stand for the first round and its repeats."""
    sizes: list[RoundSize] = []
    done = 0
    if not has_parents:
        done = min(settings.first_count, count)
        sizes.append(RoundSize(done, settings.steps[0]))
        sizes += [RoundSize(done, steps, is_repeat=True) for steps in settings.repeats]
    number = 1
    while done < count:
        is_doubling = number <= _DOUBLINGS and not has_parents
        size = min(done if is_doubling else _PER_ROUND, count - done)
        sizes.append(RoundSize(size, settings.steps_of_round(number)))
        number, done = number + 1, done + size
    return sizes


def most_similar(directions: np.ndarray, finished: np.ndarray) -> np.ndarray:
    """(n,) for each direction (n, C) the row of the finished one (F, C) with the highest cosine."""
    best = [np.argmax(part @ finished.T, axis=1) for part in np.array_split(directions, max(1, len(directions) // 256))]
    return np.concatenate(best)


def _farthest_first(directions: np.ndarray, finished: np.ndarray | None) -> np.ndarray:
    """(K,) int64: each is least similar to all before it (Gonzalez 1985); from the 513th on, by that similarity."""
    if finished is not None:
        similarity = np.max(directions @ finished.T, axis=1)
    else:
        similarity = -(directions @ directions.mean(axis=0))  # the most typical one comes first
    similarity = similarity.astype(np.float32)
    chosen: list[int] = []
    is_left = np.ones(len(directions), bool)
    for _ in range(min(_ORDERED, len(directions))):
        k = int(np.argmin(np.where(is_left, similarity, np.inf)))
        to_this = directions @ directions[k]
        similarity = to_this if not chosen and finished is None else np.maximum(similarity, to_this)
        chosen.append(k)
        is_left[k] = False
    rest = np.flatnonzero(is_left)
    return np.concatenate([np.array(chosen, np.int64), rest[np.argsort(similarity[rest], kind="stable")]])
