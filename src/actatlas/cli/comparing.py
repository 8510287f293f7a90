"""The command that compares two atlases."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from actatlas.cli.shared import examples_option, grid_side, open_option, open_page, say
from actatlas.progress import StderrProgress


def compare_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("first", metavar="A", type=Path, help="an atlas folder")
    command.add_argument("second", metavar="B", type=Path, help="another, of the same photos and places")
    command.add_argument(
        "--layer", default=None, metavar="L", help="of A; default: the latest that both have, or else A's latest"
    )
    command.add_argument(
        "--other-layer", default=None, metavar="M",
        help="of B; default: the same, or else B's latest whose map is as large",
    )  # fmt: skip
    command.add_argument(
        "--grid", default=0, type=grid_side, metavar="G", help="default: the coarsest that suits the activations"
    )
    command.add_argument("--out", type=Path, default=None, metavar="DIR", help="default: A-versus-B, by their names")
    command.add_argument("-o", "--picture", type=Path, default=None, metavar="FILE.png", help="the picture once more")
    command.add_argument(
        "--no-icons", action="store_true", help="photos in the icons' place: quick, and without torch or the networks"
    )
    command.add_argument("--draft", action="store_true", help="paint icons in less than half of the time, less well")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of the map of both; default 0")
    command.add_argument("--model", default=None, metavar="SPEC", help="A's network; default: by its own spec")
    command.add_argument("--other-model", default=None, metavar="SPEC", help="B's, likewise")
    examples_option(command, "patches")
    open_option(command)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import api
    from actatlas.store.durable import write_file

    names = [path.expanduser().resolve().name for path in (options.first, options.second)]
    made = api.compare(
        options.first, options.second, out=options.out or Path(f"{names[0]}-versus-{names[1]}"), layer=options.layer,
        other_layer=options.other_layer, grid=options.grid, icons=not options.no_icons, draft=options.draft,
        model=options.model, other_model=options.other_model, seed=options.seed, examples=options.examples,
        progress=StderrProgress(),
    )  # fmt: skip
    picture = made.picture
    if options.picture is not None:
        picture = options.picture.expanduser().resolve()
        write_file(picture, made.picture.read_bytes())
    for line in told(made.value):
        say(options, line)
    say(options, f"{picture}\n{made.address}")
    open_page(made.page, options)
    return made.value | {
        "folder": str(made.folder), "picture": str(picture), "page": str(made.page), "address": made.address,
    }  # fmt: skip


def told(value: dict[str, Any]) -> list[str]:
    """A comparison in a few lines."""
    first, second = (f"{value[side]['layer']} of {value[side]['atlas']}" for side in ("first", "second"))
    others = "speak for another class most"
    matched, counts, cka = value["matched"], value["counts"], value["cka"]
    alone = " and ".join(f"{count:,}" for count in matched["alone"])
    lines = [
        f"{first} and {second}: {matched['activations']:,} activations of {matched['photos']:,} photos in both"
        + (f"; {alone} have no partner" if any(matched["alone"]) else ""),
        f"{value['overlap']:.0%} of the {value['settings']['neighbors']} nearest are the same (by chance "
        f"{value['overlap_chance']:.1%})" + ("" if cka is None else f"; CKA {cka['value']:.2f} {_error(cka)}"),
        f"{counts['vanishing']} of {counts['of_first']} cells vanish, {counts['appearing']} of {counts['of_second']} "
        f"appear; {counts['other_top_class']} of {counts['cells']} {others}, {counts['class']} clearly so",
    ]
    if value["classes"] is None:
        lines.append("classes are not compared: there are no attributions, or no class is in both")
    for kind in ("vanishing", "appearing"):
        for cell in value[kind][:5]:
            classes = ", ".join(one["name"] for one in cell["classes"])
            lines.append(
                f"  {kind} {cell['column']},{cell['row']}: {cell['photos']} photos, {cell['kept']:.0%} kept  {classes}"
            )
    changed = [cell for cell in value["cells"] if cell["change"] == "class"]
    for cell in sorted(changed, key=lambda cell: float(cell["class_p"]))[:5]:
        names = [cell[f"{side}_classes"][0]["name"] for side in ("first", "second")]
        lines.append(f"  class {cell['column']},{cell['row']}: {names[0]} → {names[1]}, {cell['photos']} photos")
    return lines


def _error(cka: dict[str, Any]) -> str:
    return "" if cka["error"] is None else f"± {cka['error']:.2f}"
