"""How fast the patch lab answers, over HTTP, as a page asks it.

    python benchmarks/lab.py DIR [--calls 60] [--policy passive|active]

DIR: a finished atlas whose photos are there. Times are of whole answers, pictures included; processor time is of all
threads of the server. `--policy`: whether OpenMP's threads sleep while they wait (as `actatlas view` has them) or spin.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--policy", choices=("passive", "active"), default="passive")
    options = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = options.policy  # before torch is loaded

    from actatlas import atlas as reader
    from actatlas.lab import Lab
    from actatlas.server import make_server

    folder = options.folder.expanduser().resolve()
    server = make_server(folder, lab=Lab(folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask = Asker(*server.server_address[:2], server.RequestHandlerClass.token)
    atlas = reader.open(folder)
    grid = atlas.layer(atlas.layer_names[-1]).grid(atlas.layer(atlas.layer_names[-1]).grid_sides[0])
    column, row = grid.coordinates[len(grid) // 2].tolist()
    patch = {"cell": {"layer": grid.layer.title, "side": grid.side, "column": column, "row": row}, "example": 0}

    print(f"status, which loads the network: {ask.timed('status'):.1f} s")
    print(f"photo, the first time: {1000 * ask.timed('predict', photo={'id': 0}):.0f} ms")
    ask.timed("predict", photo={"id": 0}, patch=patch, place={"x": 0.5, "y": 0.5, "side": 0.4})
    used = time.process_time()
    times = sorted(
        ask.timed("predict", photo={"id": 0}, patch=patch, place={"x": i / options.calls, "y": 0.5, "side": 0.4})
        for i in range(options.calls)
    )
    used = (time.process_time() - used) / options.calls
    print(
        f"patch moved, {options.calls} times: median {1000 * statistics.median(times):.0f} ms, "
        f"nine of ten within {1000 * times[int(0.9 * len(times))]:.0f} ms, least {1000 * times[0]:.0f} ms; "
        f"{1000 * used:.0f} ms of processor time a call"
    )
    print(f"suggest: {ask.timed('suggest', photo={'id': 0}):.1f} s")
    print(f"lights, {len(atlas.layer_names)} layers: {ask.timed('lights', photo={'id': 1}, side=grid.side):.2f} s")
    print(f"24 photos: {ask.timed('photos', count=24):.2f} s")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {options.policy} waiting")


class Asker:
    def __init__(self, host: str, port: int, token: str):
        self.connection = http.client.HTTPConnection(host, port)
        self.token = token

    def timed(self, question: str, **asked: Any) -> float:
        """Seconds until the whole answer is here."""
        start = time.perf_counter()
        self.connection.request("POST", f"/lab/{question}", json.dumps(asked), {"X-Actatlas-Token": self.token})
        answer = self.connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise SystemExit(told.decode())
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
