"""What does the network misunderstand? The search from a finished atlas, its proof, and random pairs in its place.

    python benchmarks/confusions.py ATLAS IMAGES [--effort N] [--top 20] [--random]

Works on a copy of the atlas. IMAGES: photos with labels, such as a CSV. Prints every proposal with its flip rate on the
scored photos, the interval, the controls that got the same search, and the cell's icon in the patch's place; how many
turn at least a fifth of the photos where each control turns less than half as many; and the seconds of both parts.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import actatlas
from actatlas.progress import StderrProgress

ENOUGH = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", help="a finished atlas")
    parser.add_argument("images", help="labelled photos to test on")
    parser.add_argument("--effort", type=int, default=1)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--second", default="packaged:efficientnet-lite2", help="in which the transfer is measured")
    parser.add_argument("--random", action="store_true", help="random pairs as well: the search's own control")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "atlas"
        shutil.copytree(options.atlas, copy)
        for at_random in (False, True)[: 1 + options.random]:
            run(copy, options, at_random)


def run(folder: Path, options: argparse.Namespace, at_random: bool) -> None:
    how = {"top": options.top, "effort": options.effort, "at_random": at_random, "progress": StderrProgress()}
    started = time.monotonic()
    atlas = actatlas.open(folder)
    found = atlas.confusions(**how)
    searched = time.monotonic()
    layer = found.layer
    found = atlas.confusions(options.images, second=options.second, **how)
    tested = time.monotonic()
    print(f"\n{'random pairs' if at_random else 'the search'}, effort {options.effort}: {layer.name}, ", end="")
    print(f"{layer.activation_count:,} activations; list {searched - started:.0f} s, proof {tested - searched:.0f} s\n")
    print("| | patch of | taken for | turned | 95% | noise | grey | other patch | icon | Lite2 | tried | |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    good = 0
    for value in found.to_json():
        controls = value["controls"]
        holds = value["flip_rate"] >= ENOUGH and max(controls.values()) < value["flip_rate"] / 2
        good += holds
        low, high = value["interval"]
        transfer = "–" if value["transfer"] is None else f"{value['transfer']:.0%}"
        rates = " | ".join(f"{rate:.0%}" for rate in (*controls.values(), value["icon_flip_rate"]))
        turned = f"{value['flip_rate']:.0%} of {value['tested']} | {low:.0%}–{high:.0%}"
        tail = f"{transfer} | {value['tried']:.0%} | {'✓' if holds else ''}"
        print(f"| {value['rank']} | {value['concept']} | {value['target']} | {turned} | {rates} | {tail} |")
    print(f"\n{good} of {len(found)} turn at least a fifth, and each control less than half as many", flush=True)


if __name__ == "__main__":
    main()
