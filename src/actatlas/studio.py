"""Sheets of several layers at once → pictures, batch by batch, where an executor runs them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actatlas.elsewhere import Canvas, NetworkAddress, PaintRecipe
from actatlas.executors import Executor, Work
from actatlas.inversion import Renderer, Sheet
from actatlas.networks import Network

BatchName = tuple[int, int]  # which sheet of a wave, which batch of it


@dataclass
class _Order:
    """A sheet that is asked for when the first of its batches is, and the pictures that are there so far."""

    renderer: Renderer
    ask: Callable[[], Sheet]
    count: int
    sheet: Sheet | None = None

    def __post_init__(self) -> None:
        self.batches = self.renderer.batches(self.count)
        self.pictures = np.empty((self.count, *self.renderer.picture_shape), np.uint8)
        self.left = len(self.batches)

    def asked(self) -> Sheet:
        if self.sheet is None:
            self.sheet = self.ask()
        return self.sheet


class Studio:
    """All painting of one atlas: a batch is a unit, cut as it is cut in this process, so pictures are the same."""

    def __init__(self, executor: Executor, network: Network, canvases: Mapping[str, Canvas], threads: int):
        """threads: of a batch, where there are several"""
        self._executor = executor
        self._orders: list[_Order] = []
        address = None if executor.is_here else NetworkAddress.of(network)

        def recipe() -> PaintRecipe:
            return PaintRecipe(address or NetworkAddress.of(network), canvases)

        self._work = Work(
            title=self._title, recipe=recipe, values=self._values, here=self._here, threads=threads,
            is_for_gpu=address is not None and address.is_for_gpu,
        )  # fmt: skip

    def begin(self) -> str:
        """Where it will be painted, for people."""
        return self._executor.begin(self._work)

    def paint(self, wave: Sequence[tuple[Renderer, Callable[[], Sheet], int]]) -> Iterator[tuple[int, np.ndarray]]:
        """(place in the wave, pictures (n, S, S, channels)) of each, whichever is done first.

        wave: renderer, what gives the sheet, and its count of pictures. No sheet depends on another of the wave.
        """
        self._orders = [_Order(*each) for each in wave]
        names = [(i, j) for i, order in enumerate(self._orders) for j in range(len(order.batches))]
        for (i, j), pictures in self._executor.run(self._work, names):
            order = self._orders[i]
            order.pictures[order.batches[j]] = pictures
            order.left -= 1
            if not order.left:
                order.sheet = None
                yield i, order.pictures

    def paint_one(self, renderer: Renderer, sheet: Sheet) -> np.ndarray:
        """(n, S, S, channels)."""
        if not len(sheet):
            return np.empty((0, *renderer.picture_shape), np.uint8)
        ((_, pictures),) = self.paint([(renderer, lambda: sheet, len(sheet))])
        return pictures

    def _title(self, name: BatchName) -> str:
        i, j = name
        return f'batch {j} of icons of layer "{self._orders[i].renderer.layer}"'

    def _values(self, name: BatchName) -> tuple[str, int, Sheet]:
        i, j = name
        order = self._orders[i]
        threads = order.renderer.threads_of(len(order.batches))
        return order.renderer.layer, threads, order.asked().of(order.batches[j])

    def _here(self, names: Iterable[BatchName]) -> Iterator[tuple[BatchName, np.ndarray]]:
        """Sheet by sheet, each on all cores or devices."""
        for i, group in itertools.groupby(names, key=lambda name: name[0]):
            order, of_sheet = self._orders[i], list(group)
            # All of them before any is given out: what is done with them has all threads again.
            painted = list(order.renderer.paint_batches(order.asked(), [order.batches[j] for _, j in of_sheet]))
            yield from zip(of_sheet, painted, strict=True)
