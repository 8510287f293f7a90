"""Commands about what a network misunderstands: a search, its proof, and single patches."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.cli.shared import SPEC_HELP, cell_place, folder_option, grid_side, opened, renew_page, say, write_picture
from actatlas.errors import UnreadableImage, UsageError
from actatlas.progress import StderrProgress

if TYPE_CHECKING:
    from PIL import Image


def confusions_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("--test", default=None, metavar="IMAGES", help="prove the proposals on these photos")
    command.add_argument("--top", type=int, default=20, metavar="K", help="proposals; default 20")
    command.add_argument("--layer", default=None, metavar="L", help="default: the latest")
    command.add_argument("--grid", default=None, type=grid_side, metavar="G", help="default: the layer's coarsest")
    command.add_argument(
        "--effort", type=int, default=1, metavar="N", help="look at N times as many patches: slower, and finds more"
    )
    command.add_argument(
        "--second", default=None, metavar="SPEC", help="with --test: does it deceive this network too?"
    )
    command.add_argument(
        "--stories", type=int, default=3, metavar="N", help="with --test: pictures of the N best proven; default 3"
    )
    command.add_argument(
        "--random", action="store_true", help="random pairs of class and patch instead: the search's own control"
    )
    command.add_argument(
        "--export", type=Path, default=None, metavar="FILE.csv", help="the photos behind each proposal"
    )
    command.add_argument("--model", default=None, metavar="SPEC", help="the atlas's network; default: by its own spec")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random; default 0")


def confusions(options: argparse.Namespace) -> dict[str, Any]:
    atlas, progress = opened(options), StderrProgress()
    if options.second is not None and options.test is None:
        raise UsageError("--second measures what a proof transfers to; give --test IMAGES too")
    found = atlas.confusions(
        options.test, options.layer, options.grid, top=options.top, effort=options.effort, second=options.second,
        at_random=options.random, seed=options.seed, progress=progress,
    )  # fmt: skip
    if options.test is not None and options.stories > 0:
        found = atlas.confusion_stories(found, options.stories, progress)
    renew_page(atlas.folder)
    result: dict[str, Any] = {"layer": found.layer.name, "proposals": found.to_json()}
    if len(found) < options.top:
        progress.say(f"{len(found)} proposals: no more pairs of a class and a patch that has nothing of it were found")
    for rank in range(1, len(found) + 1):
        say(options, f"{rank:>2}  {found.story(rank)}")
    if options.export is not None:
        from actatlas.store.durable import write_file

        path = options.export.expanduser().resolve()
        write_file(path, found.photos_behind().to_csv(index=False).encode())
        result["export"] = str(path)
        say(options, f"{path}")
    for value in result["proposals"]:
        if value["story"]:
            say(options, value["story"])
    return result


def patch_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="an atlas folder, or give --model")
    command.add_argument("--model", default=None, metavar="SPEC", help=SPEC_HELP)
    command.add_argument(
        "--onto", required=True, nargs="+", metavar="FILE", help="photos, or folders and lists of them"
    )
    command.add_argument("--patch", type=Path, default=None, metavar="FILE", help="the patch, an image file")
    command.add_argument(
        "--cell",
        type=cell_place,
        default=None,
        metavar="C,R",
        help="with DIR: a real example patch of this cell instead",
    )
    command.add_argument("--icon", action="store_true", help="with --cell: the cell's icon, not an example")
    command.add_argument("--layer", default=None, metavar="L", help="of the cell; default: the latest")
    command.add_argument("--grid", default=None, type=grid_side, metavar="G", help="of the cell; default: the coarsest")
    command.add_argument("--target", required=True, metavar="NAME", help="the class that photos may be taken for")
    command.add_argument(
        "--size", type=_share, action="append", default=[], metavar="S",
        help="the patch's side as a share of the photo's, such as 0.3 or 30%%; repeatable; default: 10%% to 40%%",
    )  # fmt: skip
    command.add_argument("-o", "--out", type=Path, default=None, metavar="FILE.png", help="the picture")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of the controls; default 0")


def patch(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import api
    from actatlas.images import read_named
    from actatlas.working import class_names

    if (options.patch is None) == (options.cell is None):
        raise UsageError("give the patch as --patch FILE, or as --cell COLUMN,ROW of an atlas")
    if options.folder is None and (options.model is None or options.cell is not None):
        raise UsageError("give an atlas folder, or --model SPEC with --patch FILE")
    image = _cell_patch(options) if options.patch is None else read_named(options.patch, "the patch")
    atlas = None if options.folder is None else opened(options)
    network = api.load_network(options.model) if atlas is None else atlas.network
    names = class_names(network) if atlas is None else atlas.class_names
    target = names.find(options.target)
    experiment = api.try_patch(
        network, _onto(options.onto), image, target, sizes=options.size, seed=options.seed, progress=StderrProgress()
    )
    result = experiment.to_json(names.labels)
    out = options.out or Path(f"{'-'.join(names.labels[target].replace('/', ' ').split())}-patch.png")
    picture = write_picture(experiment.picture(), out)
    for value in result["images"]:
        told = "is the target already" if value["already_target"] else "turned" if value["flipped"] else "not turned"
        first, then = value["before"][0], value["after"][0]
        say(
            options,
            f"{value['file']}: {told}; {first['class']} {first['probability']:.0%} → {then['class']} "
            f"{then['probability']:.0%} with {value['size']} px {value['corner']}",
        )
    controls = ", ".join(f"{name.replace('_', ' ')} {rate:.0%}" for name, rate in result["controls"].items())
    say(options, f"turned to {result['target']}: {result['flip_rate']:.0%}; {controls}\n{picture}")
    return result | {"picture": str(picture)}


def _cell_patch(options: argparse.Namespace) -> Image.Image:
    from actatlas.classes.following import grid_of

    atlas = opened(options)
    cell = grid_of(atlas, options.layer or atlas.layer_names[-1], options.grid).cell_at(*options.cell)
    if options.icon:
        return cell.icon.image
    examples = cell.examples(1)
    if not examples:
        raise UsageError(f"{atlas.folder} carries no photos, so no example patch; take its icon: --icon")
    return examples[0]


def _onto(given: list[str]) -> list[tuple[str, Image.Image]]:
    from actatlas.images import open_source

    photos = []
    for spec in given:
        source = open_source(spec)
        for record in source.records:
            try:
                photos.append((record.path, source.read(record.id)))
            except UnreadableImage as error:
                raise UnreadableImage(f"the photo {record.path} cannot be used: {error.reason}") from None
    return photos


def _share(text: str) -> float:
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(
            f"a size is a share of the photo's side, such as 0.3 or 30%, at most 100%, not {text}"
        )
    return value
