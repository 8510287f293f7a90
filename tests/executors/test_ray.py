"""Builds on a Ray cluster of this machine: the same bytes, through the death of workers; nothing stays behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.images.servers import ObjectStore

from actatlas import load_network
from actatlas.elsewhere import NetworkAddress, SourceAddress
from actatlas.errors import BadWeights, ImageError, NetworkError, UsageError, WorkerLost
from actatlas.executors import Ray, Work
from actatlas.images import open_source
from actatlas.store import AtlasFolder, paths
from actatlas.testing.faults import tree
from actatlas.testing.small import small_build, small_network, small_photos

SPEC = "python:actatlas.testing.small:small_network"
KILLS = 3


@pytest.fixture(scope="module")
def network():
    return load_network(SPEC)


@pytest.fixture(scope="module")
def in_process(photos, network, tmp_path_factory):
    return small_build(photos, tmp_path_factory.mktemp("in-process") / "atlas", network)


def test_a_build_through_the_death_of_workers_gives_the_same_bytes(cluster, photos, network, in_process, tmp_path):
    chance, killed, is_over = random.Random(7), [], threading.Event()
    ray = Ray(workers=2)

    def kill_some() -> None:
        while len(killed) < KILLS and not is_over.wait(chance.uniform(0.1, 1.5)):
            pids = [pid for pid in ray.worker_pids if pid not in killed]
            if pids:
                killed.append(chance.choice(pids))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        atlas = small_build(photos, tmp_path / "atlas", network, executor=ray)
    finally:
        is_over.set()
        killer.join()
    assert len(killed) == KILLS
    assert tree(atlas.folder) == tree(in_process.folder)
    assert wait_for(lambda: not any("ray::Bench" in name for name in names_below(os.getpid()))), "workers are left"


def test_an_atlas_begun_on_ray_is_finished_in_this_process(cluster, photos, network, in_process, tmp_path):
    class Enough(Exception):
        pass

    class OneUnit(Ray):
        def run(self, work, units):
            yield next(super().run(work, units))
            raise Enough

    with pytest.raises(Enough):
        small_build(photos, tmp_path / "atlas", network, executor=OneUnit(workers=1))
    begun = AtlasFolder.existing(tmp_path / "atlas").committed()
    assert [paths.shard(index) in begun for index in range(3)].count(True) == 1
    atlas = small_build(photos, tmp_path / "atlas", network)
    assert tree(atlas.folder) == tree(in_process.folder)


@dataclass(frozen=True)
class Deadly:
    """Its unit 3 ends the process."""

    def ready(self) -> Callable[[int], int]:
        return lambda unit: os._exit(1) if unit == 3 else unit


def test_a_unit_that_kills_every_worker_is_named(cluster, capfd):
    work = Work(title=lambda unit: f"shard {unit}", recipe=Deadly, values=lambda unit: unit)
    found = []
    with Ray(workers=1) as ray, pytest.raises(WorkerLost, match="shard 3 has cost 5 workers their life") as told:
        for unit, _ in ray.run(work, range(5)):
            found.append(unit)
    assert found == [0, 1, 2]
    assert told.value.exit_code == 1 and "\n" not in str(told.value)
    time.sleep(1)  # Ray tells of deaths in its own time
    assert capfd.readouterr().out == "", "standard output is for results"


def test_a_unit_larger_than_any_machine_is_refused_with_what_would_fit(cluster):
    work = Work(title=str, recipe=Deadly, values=lambda unit: unit, threads=64)
    with Ray() as ray, pytest.raises(UsageError, match="64 threads .* set OMP_NUM_THREADS=4"):
        list(ray.run(work, range(2)))


def test_every_socket_of_our_own_cluster_is_on_the_loopback(cluster):
    sockets = [
        connection
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(sockets) >= 4
    assert {connection.laddr.ip.removeprefix("::ffff:") for connection in sockets} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_no_process(number, photos, tmp_path):
    sizes = ["--layer", "first", "--grid", "2", "--positions", "4", "--draft", "--icon-px", "8", "--no-open"]
    command = [sys.executable, "-m", "actatlas.cli", "build", str(photos), "--model", SPEC, *sizes]
    on_ray = [*command, "--out", str(tmp_path / "atlas"), "--executor", "ray", "--workers", "1"]
    before = {path.name for path in Path("/tmp").glob("actatlas-ray-*")}
    how: dict[str, Any] = {"stderr": subprocess.PIPE, "start_new_session": True, "text": True}
    # A test that a shell runs in its background would hand on that SIGINT is ignored.
    how["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(on_ray, **how) as build:
        assert wait_for(lambda: any("ray::Bench" in name for name in names_below(build.pid)), 120)
        started = psutil.Process(build.pid).children(recursive=True)
        if number == signal.SIGINT:  # as a terminal does: to all of the group
            os.killpg(build.pid, number)
        else:
            build.send_signal(number)
        told = build.communicate(timeout=60)[1]
    assert build.returncode == 130, told
    assert "Traceback" not in told
    assert len(started) >= 4
    assert wait_for(lambda: not any(is_alive(process) for process in started)), [p for p in started if is_alive(p)]
    assert {path.name for path in Path("/tmp").glob("actatlas-ray-*")} <= before


def test_workers_read_photos_of_an_object_store(photos, tmp_path):
    sizes = ["--layer", "first", "--grid", "2", "--positions", "4", "--draft", "--icon-px", "8", "--no-open"]
    with ObjectStore() as store:
        for photo in sorted(photos.iterdir()):
            store.put(photo, f"photos/{photo.name}")
        command = [
            sys.executable,
            "-m",
            "actatlas.cli",
            "build",
            f"s3://{store.bucket}/photos",
            "--model",
            SPEC,
            *sizes,
        ]
        for name, how in (("here", []), ("ray", ["--executor", "ray", "--workers", "1"])):
            environment = os.environ | store.environment
            subprocess.run([*command, "--out", str(tmp_path / name), *how], env=environment, check=True, timeout=180)
    assert tree(tmp_path / "ray") == tree(tmp_path / "here")


def test_a_network_given_as_an_object_is_refused_before_anything_is_written(photos, tmp_path):
    with pytest.raises(NetworkError, match="given as an object of Python.*zoo.py:function"):
        small_build(photos, tmp_path / "atlas", small_network(), executor=Ray())
    assert not (tmp_path / "atlas").exists()


def test_other_weights_and_other_photos_are_noticed_where_units_run(network, tmp_path):
    address = NetworkAddress.of(network)
    assert address.load().weights_sha256 == network.weights_sha256
    with pytest.raises(BadWeights, match="other weights on the worker"):
        replace(address, weights_sha256="0" * 64).load()
    with pytest.raises(UsageError, match=r"has numpy .* and not 1\.0"):
        replace(address, versions=(("numpy", "1.0"),)).load()
    own = small_photos(tmp_path / "own", 3)
    address = SourceAddress.of(open_source(own))
    assert len(address.open().records) == 3
    (own / "000.png").unlink()
    with pytest.raises(ImageError, match="other photos"):
        address.open()
    (own / "001.png").unlink()
    (own / "002.png").unlink()
    own.rmdir()
    with pytest.raises(ImageError, match="does not exist.*where every worker reads them"):
        address.open()


def test_a_list_of_paths_goes_over_as_its_paths(photos):
    chosen = sorted(photos.iterdir())[:4]
    opened = SourceAddress.of(open_source(chosen)).open()
    assert [record.path for record in opened.records] == [str(path) for path in chosen]


@pytest.mark.parametrize("wrong", ["--address", "--workers"])
def test_options_of_ray_want_ray(wrong, photos, tmp_path, capsys):
    from actatlas.cli import main

    assert main(["build", str(photos), "--out", str(tmp_path / "atlas"), wrong, "1"]) == 2
    assert f"{wrong} goes with --executor ray" in capsys.readouterr().err


def names_below(pid: int) -> list[str]:
    """What the processes that this one started, and those that they did, call themselves."""
    names = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            names.append(" ".join(process.cmdline()))
        except psutil.Error:  # it has just ended
            continue
    return names


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()
