"""Builds on a Ray cluster of this machine whose workers are killed at random, and what Ray costs a unit of work.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/ray_kills.py [kills] [costs] [--kills 20] [--photos 120] [--at FOLDER]

kills: the same atlas of the packaged network in this process and on two workers, of which one is ended by SIGKILL every
few seconds; every file that counts is compared, and processes that stay behind are counted.
costs: seconds of a shard, a batch of icons and a unit that does nothing, here and on one worker with as many threads;
what the driver does alone: it takes a shard and writes it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

from actatlas import api, load_network, pipeline
from actatlas.collect import Collector, run_pilot
from actatlas.elsewhere import Canvas, CollectRecipe, NetworkAddress, SourceAddress
from actatlas.executors import Executor, InProcess, Ray, Work
from actatlas.images import open_source
from actatlas.inversion import InversionSettings, Sheet
from actatlas.progress import Silent
from actatlas.records import write_shard
from actatlas.store import building
from actatlas.studio import Studio
from actatlas.testing.faults import tree
from actatlas.values import ColourStatistics

LAYERS = ("blocks.4.expanded", "blocks.9.expanded")
SPEC = "packaged:efficientnet-lite0"
SHARD_PHOTOS = 8  # so that there are units to kill
ICON_ROWS = 64


def build(photos: list[Path], out: Path, executor: Executor) -> float:
    """Seconds."""
    started = time.monotonic()
    collect = replace(api.collect_settings(0, 8, "patch-replacement", "auto", 0), shard_images=SHARD_PHOTOS)
    settings = api.build_settings(
        LAYERS, (8,), collect, api.layout_settings(None, True, 0), api.icon_settings(56, True)
    )
    pipeline.build(load_network(SPEC), open_source(photos), out, settings, Silent(), executor)
    return time.monotonic() - started


@contextmanager
def killing(ray: Ray, wanted: int, seconds: float) -> Iterator[list[int]]:
    """Meanwhile a worker that is up is killed at random moments, `seconds` apart on average; gives their numbers."""
    chance, killed, is_over = random.Random(0), [], threading.Event()

    def work() -> None:
        while len(killed) < wanted and not is_over.wait(chance.uniform(0, 2 * seconds)):
            pids = [pid for pid in ray.worker_pids if pid not in killed]
            if pids:
                killed.append(chance.choice(pids))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=work)
    killer.start()
    try:
        yield killed
    finally:
        is_over.set()
        killer.join()


def kills(photos: list[Path], folder: Path, wanted: int, seconds: float) -> bool:
    """Whether all went well. A build that was done before all were killed is followed by another."""
    here = build(photos, folder / "here", InProcess())
    expected = tree(folder / "here")
    print(f"in this process: {here:.0f} s, {len(expected):,} files", flush=True)
    killed = differing = 0
    seen: set[psutil.Process] = set()
    while killed < wanted:
        shutil.rmtree(folder / "ray", ignore_errors=True)
        ray = Ray(workers=2)
        with noticing(seen), killing(ray, wanted - killed, seconds) as dead:
            took = build(photos, folder / "ray", ray)
        killed += len(dead)
        found = tree(folder / "ray")
        differing += sum(expected.get(path) != found.get(path) for path in {*expected, *found})
        print(f"on Ray: {took:.0f} s, {len(dead)} workers killed, {differing} files differ so far", flush=True)
    ended = time.monotonic()
    while (left := [process for process in seen if is_alive(process)]) and time.monotonic() - ended < 30:
        time.sleep(0.2)
    after = f"{len(left)} are left {time.monotonic() - ended:.0f} s after the end"
    print(f"killed {killed}; files that differ {differing}; of {len(seen)} processes {after}", flush=True)
    for process in left:
        print(f"  {process.pid}: {' '.join(process.cmdline())[:200]}", flush=True)
    return not differing and not left


@contextmanager
def noticing(seen: set[psutil.Process]) -> Iterator[None]:
    """All processes that are ever below this one are added."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.2):
            seen.update(psutil.Process().children(recursive=True))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Idle:
    """Gives as many bytes as it is asked for."""

    def ready(self) -> Callable[[int], np.ndarray]:
        return lambda count: np.zeros(count, np.uint8)


class Watch:
    """Seconds since it was made: on the clock, and of the processor's in this process and all below it."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), _cpu_s()

    def read(self) -> tuple[float, float]:
        return time.monotonic() - self._wall, _cpu_s() - self._cpu


def _cpu_s() -> float:
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def told(what: str, watch: Watch, units: int) -> None:
    wall, cpu = (1000 * seconds / units for seconds in watch.read())
    print(f"{what}: {wall:.1f} ms, {cpu:.1f} ms of the processor's", flush=True)


def costs(photos: list[Path], folder: Path) -> None:
    with Ray(workers=1) as ray:
        watch = Watch()
        idle = Work(title=str, recipe=Idle, values=lambda unit: 0, threads=torch.get_num_threads())
        list(ray.run(idle, range(1)))
        told("cluster and first worker", watch, 1)
        for name, size, count in (("nothing", 0, 1000), ("10 MB", 10**7, 50), ("50 MB", 5 * 10**7, 20)):
            work = replace(idle, values=lambda unit, size=size: size)
            for place, executor in (("here", InProcess()), ("on one worker", ray)):
                watch = Watch()
                for _, given in executor.run(work, range(count)):
                    given.sum()
                told(f"a unit that gives {name}, {place}", watch, count)
        network, source = load_network(SPEC), open_source(photos)
        shards(network, source, folder, ray)
    with Ray(workers=2) as ray:
        icons(network, ray)


def shards(network, source, folder: Path, ray: Ray) -> None:
    """The first of each is left out: it loads the network."""
    settings = replace(api.collect_settings(0, 1, "patch-replacement", "auto", 0), shard_images=128)
    pilot = run_pilot(network, source, LAYERS, settings, Silent())
    collector = Collector(network, source, LAYERS, settings, pilot)
    threads = torch.get_num_threads()
    work = Work(
        title=str, values=lambda index: index, here=collector.shards, threads=threads,
        recipe=lambda: CollectRecipe(
            NetworkAddress.of(network), SourceAddress.of(source), *collector.asked, threads, isolate_decoding=False
        ),
    )  # fmt: skip
    whole = [index for index in range(collector.shard_count) if len(collector.image_ids(index)) == 128]
    for name, executor in (("here", InProcess()), ("on one worker", ray)):
        out = folder / name.split()[-1]
        list(executor.run(work, whole[:1]))
        with building(out) as files:
            files.write_json("plan.json", {})
            watch, wrote = Watch(), 0.0
            for index, shard in executor.run(work, whole):
                got = time.monotonic()
                write_shard(files, index, shard)
                wrote += time.monotonic() - got
            told(f"a shard of 128 photos, {len(LAYERS)} layers, {name}", watch, len(whole))
            size = sum((out / path).stat().st_size for path in files.committed() if path != "plan.json")
        print(f"  {size / len(whole) / 1e6:.2f} MB, written in {1000 * wrote / len(whole):.0f} ms", flush=True)


def icons(network, ray: Ray) -> None:
    layer = LAYERS[-1]
    channels = network.layer(layer).shape[0]
    colour = ColourStatistics(np.full(3, 0.5), np.eye(3) * 0.05)
    canvas = Canvas(layer, np.zeros(channels, np.float32), colour, InversionSettings(likeness=0.0), None)
    renderer = canvas.renderer(network)
    directions = np.random.default_rng(0).standard_normal((ICON_ROWS, channels)).astype(np.float32)
    sheet = Sheet(directions, np.arange(ICON_ROWS), 24, None, None, renderer.no_correction)
    for name, executor in (("here", InProcess()), ("on two workers", ray)):
        studio = Studio(executor, network, {layer: canvas}, renderer.threads_of(2))
        studio.paint_one(renderer, sheet)
        watch = Watch()
        for _ in range(3):
            studio.paint_one(renderer, sheet)
        told(f"an icon of 24 steps, two batches at once, {name}", watch, 3 * ICON_ROWS)


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("what", nargs="*", metavar="WHAT", help="kills, costs; both, where none is named")
    command.add_argument("--kills", type=int, default=20)
    command.add_argument("--seconds", type=float, default=20.0, help="between two kills, on average")
    command.add_argument("--photos", type=int, default=120)
    command.add_argument("--at", type=Path, default=None)
    options = command.parse_args()
    if unknown := sorted(set(options.what) - {"kills", "costs"}):
        command.error(f"{unknown[0]} is none of kills, costs")
    found = sorted(path for path in Path(os.environ["ACTATLAS_PHOTOS"]).rglob("*") if path.suffix.lower() == ".jpg")
    what, is_well = options.what or ["kills", "costs"], True
    with tempfile.TemporaryDirectory(dir=options.at) as folder:
        if "kills" in what:
            is_well = kills(found[: options.photos], Path(folder), options.kills, options.seconds)
        if "costs" in what:
            costs(found[:640], Path(folder))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
