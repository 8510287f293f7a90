"""How another process comes to the same network and the same photos, and what it then does with them.

All of it is values: specs that lead there again, and checksums that say whether they did.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from actatlas.collect import Collector, CollectSettings, Pilot, Shard
from actatlas.errors import ActatlasError, BadWeights, ImageError, NetworkError, UsageError
from actatlas.executors import Executor, InProcess
from actatlas.images import FileSource, isolated_decoding, open_source
from actatlas.inversion import InversionSettings, Renderer, Sheet
from actatlas.networks import Network, load_network
from actatlas.rerun import listing_sha256, versions
from actatlas.values import ColourStatistics, Expectation, ImageSource


@dataclass(frozen=True)
class NetworkAddress:
    """spec, device: as `load_network` takes them, from the folder; weights_sha256, preprocessing: what it must have"""

    spec: str
    device: str
    folder: str
    weights_sha256: str
    preprocessing: str
    versions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, network: Network) -> NetworkAddress:
        """Raises NetworkError for one that was given as an object."""
        if network.loaded_by is None:
            raise NetworkError(
                f"{network.spec} was given as an object of Python, and workers in other processes load their network "
                "by a spec; write a function that gives it, and name that: zoo.py:function (docs/networks.md)",
                spec=network.spec,
            )
        how = repr(network.preprocessing.to_json())
        return cls(*network.loaded_by, os.getcwd(), network.weights_sha256, how, tuple(versions().items()))

    def load(self) -> Network:
        """Once in each process. Raises what `load_network` does, and BadWeights, UsageError where it is another."""
        return _loaded(self)

    @property
    def is_for_gpu(self) -> bool:
        return self.device == "auto" or self.device.startswith("cuda")


@dataclass(frozen=True)
class SourceAddress:
    """spec: as `open_source` takes it, from the folder; entries: paths and columns, where no spec leads to these"""

    spec: str
    entries: tuple[tuple[str, Mapping[str, str]], ...] | None
    folder: str
    listing_sha256: str

    @classmethod
    def of(cls, source: ImageSource) -> SourceAddress:
        entries = None
        if isinstance(source, FileSource) and not source.is_found_by_spec:
            entries = tuple((record.path, record.columns) for record in source.records)
        return cls(source.spec, entries, os.getcwd(), listing_sha256(source))

    def open(self) -> ImageSource:
        """Raises ImageError where it cannot be opened, or is another than here."""
        where = f"{self.spec}, on the worker {socket.gethostname()}"
        try:
            with _working_in(self.folder):
                source = open_source(self.spec) if self.entries is None else FileSource(self.spec, self.entries, False)
        except ActatlasError as error:
            raise ImageError(
                f"{where}: {error.message}. Photos must be where every worker reads them: in storage that all machines "
                "share, or at an address (docs/cluster.md)",
                spec=self.spec,
            ) from None
        if listing_sha256(source) != self.listing_sha256:
            raise ImageError(
                f"{where}: other photos, or files of other sizes, than where the build was started; name one that all "
                "machines share",
                spec=self.spec,
            )
        return source


def reaching(executor: Executor | None, network: Network | None) -> Executor:
    """The executor, or this process. Raises NetworkError where its workers could not come to the network."""
    if executor is None:
        return InProcess()
    if network is not None and not executor.is_here:
        NetworkAddress.of(network)
    return executor


@dataclass(frozen=True)
class CollectRecipe:
    """From a shard's number to the shard."""

    network: NetworkAddress
    source: SourceAddress
    layers: tuple[str, ...]
    settings: CollectSettings
    pilot: Pilot
    starts: tuple[int, ...]
    threads: int
    isolate_decoding: bool

    def ready(self) -> Callable[[int], Shard]:
        torch.set_num_threads(self.threads)
        _for_good.enter_context(isolated_decoding(self.isolate_decoding))
        network, source = self.network.load(), self.source.open()
        collector = Collector(network, source, self.layers, self.settings, self.pilot, self.starts)

        def collected(index: int) -> Shard:
            ((_, shard),) = collector.shards([index])
            return shard

        return collected


@dataclass(frozen=True)
class Canvas:
    """What all pictures of one layer share."""

    layer: str
    mean: np.ndarray
    colour: ColourStatistics
    settings: InversionSettings
    expectation: Expectation | None

    def renderer(self, network: Network, easel_count: int = 0) -> Renderer:
        return Renderer(
            network, self.layer, self.mean, self.colour, self.settings, self.expectation, easel_count=easel_count
        )


@dataclass(frozen=True)
class PaintRecipe:
    """From (layer, threads, one batch's sheet) to its pictures (n, S, S, channels)."""

    network: NetworkAddress
    canvases: Mapping[str, Canvas]

    def ready(self) -> Callable[[tuple[str, int, Sheet]], np.ndarray]:
        network = self.network.load()
        renderers: dict[str, Renderer] = {}

        def painted(asked: tuple[str, int, Sheet]) -> np.ndarray:
            layer, threads, batch = asked
            torch.set_num_threads(threads)
            if layer not in renderers:
                renderers[layer] = self.canvases[layer].renderer(network, easel_count=1)
            return renderers[layer].paint_batch(batch, threads)

        return painted


# What lasts as long as a worker's process.
_for_good = ExitStack()


@lru_cache(maxsize=1)
def _loaded(address: NetworkAddress) -> Network:
    here, there = dict(versions()), dict(address.versions)
    differing = [f"{name} {here.get(name)} and not {there[name]}" for name in there if here.get(name) != there[name]]
    if differing:
        raise UsageError(
            f"the worker {socket.gethostname()} has {', '.join(differing)}; the same bytes need the same versions: "
            "install on every machine what is installed where the build is started"
        )
    with _working_in(address.folder):
        network = load_network(address.spec, device=address.device)
    if network.weights_sha256 != address.weights_sha256:
        raise BadWeights(
            f"{address.spec} has other weights on the worker {socket.gethostname()} than where the build was started; "
            "give every machine the same file, or one that all share",
            spec=address.spec,
        )
    if repr(network.preprocessing.to_json()) != address.preprocessing:
        raise NetworkError(
            f"{address.spec} comes with another preprocessing on the worker {socket.gethostname()} than the network of "
            "this build, which was changed after it was loaded; write it into a function, and name that: "
            "zoo.py:function",
            spec=address.spec,
        )
    return network


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """Relative paths mean there what they mean here, where the folder is there too."""
    with ExitStack() as stack:
        if os.path.isdir(folder):
            stack.enter_context(contextlib.chdir(folder))
        yield
