"""A newcomer's first steps, measured: what an install downloads, how soon the command answers, and the first atlas.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/newcomer.py [--photos-used 100] [--skip downloads|help|atlas]…

downloads: pip is asked, in an empty environment, what `pip install actatlas` would fetch (the wheel is built here);
    sizes are those that the index states. `actatlas[all]` must resolve.
help: `actatlas --help` as a process of its own, best and worst of ten.
atlas: two commands, as a reader of docs/howto/first-atlas.md gives them, on a folder of 100 of the photos: `build`, and
    `view`, whose page is asked for like a browser does. The clock runs from the first command to the page with its
    first tile, once while icons are still being painted and once when all is done. Two cores: run it under
    `taskset -c 0,1` on a machine with more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ACTATLAS = [sys.executable, "-m", "actatlas.cli"]
TIMES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder ($ACTATLAS_PHOTOS)")
    parser.add_argument("--photos-used", type=int, default=100)
    parser.add_argument("--skip", action="append", default=[], choices=["downloads", "help", "atlas"])
    options = parser.parse_args()
    if "downloads" not in options.skip:
        downloads()
    if "help" not in options.skip:
        help_times()
    if "atlas" not in options.skip:
        if not options.photos:
            sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
        first_atlas(Path(options.photos), options.photos_used)


def downloads() -> None:
    with tempfile.TemporaryDirectory() as work:
        wheel = built_wheel(Path(work))
        for extras in ("", "[build]", "[all]"):
            found = resolved(f"{wheel}{extras}", Path(work))
            own = wheel.stat().st_size
            sizes = {name: size for name, size in found.items() if name != "actatlas"} | {"actatlas": own}
            torch = [n for n in sizes if n in ("torch", "torchvision", "triton") or n.startswith(("nvidia-", "cuda-"))]
            without = sum(size for name, size in sizes.items() if name not in torch)
            largest = sorted(sizes.items(), key=lambda item: -item[1])[:4]
            told = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in largest)
            print(f"actatlas{extras}: {len(sizes)} packages, {without / 1e6:.1f} MB without torch; largest: {told}")


def built_wheel(work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(work), str(ROOT)]
    subprocess.run(command, check=True)
    return next(work.glob("actatlas-*.whl"))


def resolved(requirement: str, work: Path) -> dict[str, int]:
    """{package: bytes to download}. Raises CalledProcessError where it does not resolve."""
    report = work / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    done = subprocess.run([*command, "--report", str(report), requirement], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{requirement} does not resolve:\n{done.stderr[-2000:]}")
    found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {one["metadata"]["name"].lower(): size_of(one["download_info"]["url"]) for one in found}


def size_of(url: str) -> int:
    if url.startswith("file:"):
        return Path(urllib.request.url2pathname(url.removeprefix("file://"))).stat().st_size
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"])


def help_times() -> None:
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        subprocess.run([*ACTATLAS, "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    print(f"actatlas --help: {min(seconds):.2f} s at best, {max(seconds):.2f} s at worst of {TIMES}")


def first_atlas(photos: Path, count: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        mine, out = Path(work) / "photos", Path(work) / "atlas"
        mine.mkdir()
        for path in sorted(p for p in photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]:
            shutil.copy(path, mine)
        environment = os.environ | {"CI": "1", "OMP_WAIT_POLICY": "passive"}
        started = time.perf_counter()
        build = subprocess.Popen([*ACTATLAS, "build", str(mine), "--out", str(out)], env=environment, stdout=sys.stderr)
        while build.poll() is None and not (out / "site" / "index.html").is_file():
            time.sleep(0.1)
        if build.poll() is None:
            print(f"{count} photos: a page to look at after {seen(out, started):.0f} s, icons still being painted")
        assert build.wait() == 0, "the build failed"
        print(f"{count} photos: all is painted after {seen(out, started):.0f} s; two commands")
        print(f"on {os.cpu_count()} cores, of which {len(os.sched_getaffinity(0))} may be used")


def seen(out: Path, started: float) -> float:
    """Seconds until `view` has given the page and its first tile."""
    view = subprocess.Popen([*ACTATLAS, "view", str(out), "--no-open"], stderr=subprocess.PIPE, text=True)
    try:
        assert view.stderr is not None
        address = next(found[0] for line in view.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        text = urllib.request.urlopen(address + "atlas.js", timeout=60).read().decode()
        atlas = json.loads(text[text.index(",") + 1 : text.rindex(")")])
        layer = atlas["layers"][-1]
        tile = f"layers/{layer['slug']}/{layer['grids'][0]['side']}/tiles_files/0/0_0.webp"
        urllib.request.urlopen(address + tile, timeout=60).read()
        return time.perf_counter() - started
    finally:
        view.terminate()
        view.communicate(timeout=30)


if __name__ == "__main__":
    main()
