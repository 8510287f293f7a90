"""Two processes that want to write one atlas at the same moment, and what is left when one is killed.

    python benchmarks/writers.py [--rounds 50]

Each round: a barrier, then both take the folder as `actatlas build` does. One goes on; the other has to end with exit
code 8 within two seconds and name the first. Then the first is killed (SIGKILL), and the folder has to be free within a
second. The name that it leaves behind is never taken for a living one's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from actatlas.errors import Locked
from actatlas.store import building

_ROUND_S = 30


def writer(folder: Path, barrier: Barrier, told: Connection) -> None:
    """Tells (exit code, seconds, what it says), and then holds the folder until it is killed."""
    barrier.wait(_ROUND_S)
    started = time.monotonic()
    try:
        with building(folder) as files:
            if not files.has("plan.json"):
                files.write_json("plan.json", {"format_version": 4})
            told.send((0, time.monotonic() - started, ""))
            time.sleep(_ROUND_S)
    except Locked as error:
        told.send((error.exit_code, time.monotonic() - started, str(error)))


def one_round(context: multiprocessing.context.BaseContext, folder: Path) -> tuple[str, float, float]:
    """(what is wrong, seconds until the other was refused, seconds until the lock was free)"""
    barrier = context.Barrier(2)
    pipes = [context.Pipe() for _ in range(2)]
    both = [context.Process(target=writer, args=(folder, barrier, pipe[1])) for pipe in pipes]
    for process in both:
        process.start()
    told = [pipe[0].recv() if pipe[0].poll(_ROUND_S) else (None, 0.0, "nothing") for pipe in pipes]
    codes = [code for code, _, _ in told]
    problem, refused_s = "", max(seconds for _, seconds, _ in told)
    free_s = 0.0
    if sorted(codes, key=str) != [0, 8]:
        problem = f"exit codes {codes}"
    else:
        holder = both[codes.index(0)]
        words = told[codes.index(8)][2]
        if f"process {holder.pid} on " not in words:
            problem = f"{holder.pid} holds it, and was told: {words}"
        elif refused_s > 2:
            problem = f"refused after {refused_s:.1f} s"
        os.kill(holder.pid, signal.SIGKILL)
        started = time.monotonic()
        while True:
            was_gone = not holder.is_alive()
            try:
                with building(folder):
                    break
            except Locked as error:
                if f"process {holder.pid} on " in str(error) and was_gone:
                    problem = problem or "one that is dead was named"
            if time.monotonic() - started > _ROUND_S:
                break
        free_s = time.monotonic() - started
        if free_s > 1:
            problem = problem or f"free after {free_s:.1f} s"
    for process in both:
        process.kill()
        process.join()
    return problem, refused_s, free_s


def compete(rounds: int, folder: Path) -> tuple[list[str], float, float]:
    """(problems, the longest until one was refused, the longest until the lock was free)"""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    found = [one_round(context, folder / f"atlas-{number % 5}") for number in range(rounds)]
    problems = [f"round {number}: {problem}" for number, (problem, _, _) in enumerate(found) if problem]
    return problems, max(refused for _, refused, _ in found), max(free for _, _, free in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        problems, refused, free = compete(options.rounds, Path(folder))
    print(f"{options.rounds} rounds, {len(problems)} wrong; refused within {refused:.2f} s, free within {free:.2f} s")
    print("\n".join(problems[:10]))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
