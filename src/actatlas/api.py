"""What Python users call. Each function is one line of thought over pipeline.py and the stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from actatlas.errors import UsageError
from actatlas.progress import Progress, Silent, StderrProgress
from actatlas.working import WorkingAtlas, class_names, need_torch

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from actatlas.atlas import Layer
    from actatlas.collect import CollectSettings
    from actatlas.comparison import KeptComparison, Paint
    from actatlas.confusions import Experiment
    from actatlas.executors import Executor
    from actatlas.inversion import InversionSettings
    from actatlas.layout import LayoutSettings
    from actatlas.networks import Network
    from actatlas.planning import BuildSettings
    from actatlas.preprocessing import Preprocessing
    from actatlas.values import AttributionMethod, Cells, Examples, Icons, ImageSource, Precision

DEFAULT_NETWORK = "packaged:efficientnet-lite0"


def load_network(
    model: Any = DEFAULT_NETWORK,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    device: str = "auto",
    outputs: Callable[[Any], Any] | None = None,
) -> Network:
    """A network by its spec, or a torch.nn.Module with its preprocessing and labels (in the order of its logits).

    device: "auto" takes CUDA, then an Apple GPU, then the CPU; a module of yours stays where it is
    outputs: from what the module gives to (B, K) numbers that stand in for logits: a detector's scores, a regression,
        an embedding's likeness to K text prompts. `labels` name these K; what is said of classes is then said of them
    Raises UnknownNetwork, BadWeights, MissingExtra; UsageError for a device that is not there.
    """
    need_torch()
    from actatlas import networks

    return networks.load_network(model, preprocessing=preprocessing, labels=labels, device=device, outputs=outputs)


def open(folder: str | Path) -> WorkingAtlas:  # noqa: A001  the public name is actatlas.open
    """An atlas folder, finished or growing; needs no torch but for what paints and traces. Raises NotAnAtlas."""
    return WorkingAtlas.opened(folder)


def open_demo() -> WorkingAtlas:
    """The atlas that ships with the package: four layers of EfficientNet-Lite0, without photos and activations."""
    return open(Path(__file__).parent / "demo" / "atlas")


def build(
    images: str | Path | Sequence[str | Path] | ImageSource,
    *,
    out: str | Path,
    model: Any = DEFAULT_NETWORK,
    layers: Sequence[str] = (),
    grids: Sequence[int] = (),
    crops: int = 0,
    positions: int = 1,
    attribution: AttributionMethod | Literal["none"] | None = "patch-replacement",
    precision: Precision = "auto",
    align: bool = True,
    layout: str | None = None,
    icon_px: int | None = None,
    draft: bool = False,
    device: str = "auto",
    seed: int = 0,
    title: str = "",
    examples: Examples | None = None,
    isolate_decoding: bool = False,
    executor: Executor | str | None = None,
    add: bool = False,
    progress: Progress | bool = True,
) -> WorkingAtlas:
    """Photos in, atlas out; the same call continues a build that was stopped.

    images: a folder, a list file, a CSV, a list of paths, or an ImageSource
    model: a spec, a Network, or a torch.nn.Module that load_network would take
    layers: names; empty for the network's recommended ones
    grids: sides from 2 to 320; empty for those that suit the number of activations
    crops: random crops a photo; 0 uses each photo once, as network.pixels gives it
    positions: activations a crop, the same relative places in every layer
    align: regions keep their places from layer to layer
    layout: "umap", "landmarks", "tsne", "torchdr", "cuml", or a plug-in's; None is landmarks
    icon_px: side of an icon in network input pixels, 8 to 512; None takes 80
    draft: paint icons in less than half of the time, less well
    examples: what the page shows of photos: "none", "patches" (where None), "thumbs" or "originals"
    isolate_decoding: decode photos in processes of their own, under limits: for photos by strangers
    device: "cpu", "cuda", "mps"; "auto" takes a GPU where there is one. Icons are painted on all visible CUDA devices
    executor: where photos are collected and icons painted: None in this process; "ray" on a Ray cluster of this
        machine, actatlas.executors.Ray(address="auto") on one that is there (docs/cluster.md). The atlas is the same
    add: photos and layers that the atlas in `out` does not have are added to it; its activations stay (docs/adding.md)

    Raises what the command line prints: an ActatlasError that says what is wrong, where, and what to do.
    """
    need_torch()
    from actatlas import pipeline
    from actatlas.images import open_source
    from actatlas.networks import Network

    network = model if isinstance(model, Network) else load_network(model, device=device)
    collect = collect_settings(crops, positions, attribution, precision, seed)
    placed, icons = layout_settings(layout, align, seed), icon_settings(icon_px, draft)
    settings = build_settings(layers, grids, collect, placed, icons)
    settings = replace(settings, title=title, examples=examples, isolate_decoding=isolate_decoding)
    folder = Path(out).expanduser().resolve()
    source, run = open_source(images), executor_of(executor)
    atlas = pipeline.build(network, source, folder, settings, _told(progress), run, add=add)
    working = _opened_with(source, atlas.folder)
    working.network = network
    return working


def build_from_vectors(
    vectors: Any,
    images: str | Path | Sequence[str | Path] | ImageSource | None = None,
    *,
    out: str | Path,
    layout: Any = None,
    regions: str = "",
    model: Any = None,
    layer: str = "",
    grids: Sequence[int] = (),
    icon_px: int | None = None,
    draft: bool = False,
    device: str = "auto",
    seed: int = 0,
    title: str = "",
    examples: Examples | None = None,
    executor: Executor | str | None = None,
    progress: Progress | bool = True,
) -> WorkingAtlas:
    """Vectors of your own in, atlas out: of CLIP, of an embedder of your own, of a scikit-learn pipeline.

    vectors: (N, C) numbers, a row each; or a DataFrame, a mapping of arrays, or a file (.parquet, .npz, .npy,
        .safetensors, .csv) that holds them and, where it does, path or image_id, positions, boxes, x and y, cluster:
        see docs/vectors.md
    images: the photos; None takes the paths in the table. Without paths or ids there is one vector for each, in order
    layout: (N, 2) or a file with x and y, x to the right, y downwards; or how they are found, as for `build`
    regions: the column that names the parts of the map; "" takes cluster or label where there is one
    executor: where icons are painted, as for `build`
    model, layer: what gave the vectors; icons are painted then. Without, a cell's picture is the photo nearest its mean

    Raises BadVectors for what cannot be, in one sentence; a build that was stopped is continued by the same call.
    """
    need_torch()
    from actatlas.given import read_columns, take_points, take_vectors
    from actatlas.networks import Network
    from actatlas.vectors import build_given

    if (model is None) != (not layer):
        raise UsageError("vectors of a network's layer need both: the model and the layer's name")
    method = layout if isinstance(layout, str) and not Path(layout).suffix else None
    points = None if layout is None or method else take_points(*read_columns(layout, "points"))
    given = take_vectors(*read_columns(vectors), images, points, regions)
    network = model if model is None or isinstance(model, Network) else load_network(model, device=device)
    collect = collect_settings(0, 1, None, "auto", seed)
    layers = (layer,) if layer else ()
    placed, icons = layout_settings(method, False, seed), icon_settings(icon_px, draft)
    settings = replace(build_settings(layers, grids, collect, placed, icons), title=title, examples=examples)
    atlas = build_given(
        given, Path(out).expanduser().resolve(), settings, _told(progress), network, executor_of(executor)
    )
    working = _opened_with(given.source, atlas.folder)
    if network is not None:
        working.network = network
    return working


def _opened_with(source: ImageSource, folder: Path) -> WorkingAtlas:
    """The atlas that was just built; of photos that are no files it holds the source, as nobody else may."""
    working = open(folder)
    is_all = len(source.records) == working.plan["images"]["listed"]  # not only what was added
    if is_all and not working.plan["images"]["has_files"]:
        working.source = source
    return working


def compare(
    first: str | Path | WorkingAtlas,
    second: str | Path | WorkingAtlas,
    *,
    out: str | Path,
    layer: str | None = None,
    other_layer: str | None = None,
    grid: int = 0,
    icons: bool = True,
    draft: bool = False,
    model: Any = None,
    other_model: Any = None,
    seed: int = 0,
    examples: Examples | None = None,
    progress: Progress | bool = True,
) -> KeptComparison:
    """Two networks, or two checkpoints, that were shown the same photos, on one map; and where they differ.

    first, second: finished atlases, or their folders; both stay as they are
    out: a folder for the comparison, which is an atlas too: its two layers are those of the two networks
    layer, other_layer: None takes the latest that both have by name, or else the latest whose map is of the same size
    grid: cells along an edge; 0 takes the coarsest that suits the number of activations
    icons: False shows photos in their place, and needs neither torch nor the networks; draft: see `build`
    model, other_model: the networks, where the atlases' own specs do not lead to them

    Raises UsageError where too few activations are of the same photos and places, PlanChanged for a network with other
    weights than its atlas's.
    """
    from actatlas import comparison

    said = _told(progress)
    atlases = [one if isinstance(one, WorkingAtlas) else open(one) for one in (first, second)]
    for atlas, given in zip(atlases, (model, other_model), strict=True):
        if given is not None:
            atlas.network = given
    one, other, told = comparison.choose_layers(atlases[0], atlases[1], layer, other_layer)
    if told:
        said.say(told)
    settings = comparison.ComparisonSettings(grid=grid, layout=layout_settings(None, False, seed))
    paint = None if not icons else _comparison_paint((one, other), draft, seed, said)
    found = comparison.compare_layers(one, other, settings, said)
    return comparison.keep_comparison(found, Path(out).expanduser().resolve(), paint, examples, said)


def _comparison_paint(layers: tuple[Layer, Layer], draft: bool, seed: int, progress: Progress) -> Paint:
    """What paints either network's cells; both networks are there before anything is computed."""
    need_torch("painting icons (icons=False, --no-icons, shows photos instead)")
    from actatlas.icons import paint_cells

    networks = []
    for layer in layers:
        assert isinstance(layer.atlas, WorkingAtlas)  # as both were opened
        networks.append(layer.atlas.network)
        layer.atlas.require_weights(networks[-1].spec, networks[-1].weights_sha256)

    def paint(number: int, cells: Cells) -> Icons:
        salt = f"comparison/{seed}"
        return paint_cells(networks[number], layers[number], cells, salt, progress, "draft" if draft else "plain")

    return paint


def measure_icons(network: Network, layer: Any, icons: np.ndarray) -> np.ndarray:
    """What `layer` (its name, or a Layer of an atlas) answers at the centre of each icon.

    icons: (K, S, S, 3) uint8, fed alone at their own size in float32 (fixed input: centred on mean colour)
    Returns (K, C) float32; the mean of the two or four central positions where the count is even.
    """
    need_torch()
    from actatlas import inversion

    return inversion.measure_icons(network, layer, icons)


def try_patch(
    network: Network,
    onto: Sequence[str | Path | tuple[str, Image.Image]],
    patch: str | Path | Image.Image,
    target: str | int,
    *,
    sizes: Sequence[float] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Experiment:
    """One patch on photos, over sizes and corners, beside patches that should do nothing.

    onto: photos, as paths or (name, picture); sizes: sides of the patch as shares of the shorter side of the network's
    input; empty for 10% to 40%
    Raises UnknownClass, UnreadableImage, UsageError where every photo is taken for the target already.
    """
    need_torch("pasting patches")
    from actatlas.confusions.experiment import SHARES, paste_and_look
    from actatlas.images import read_named

    photos = [given if isinstance(given, tuple) else (str(given), read_named(given, "the photo")) for given in onto]
    picture = read_named(patch, "the patch") if isinstance(patch, str | Path) else patch
    index = class_names(network).find(target)
    return paste_and_look(
        network, photos, picture, index, shares=sizes or SHARES, seed=seed, progress=progress or Silent()
    )


def collect_settings(
    crops: int,
    positions: int,
    attribution: AttributionMethod | Literal["none"] | None,
    precision: Precision,
    seed: int,
) -> CollectSettings:
    from actatlas.collect import CollectSettings

    method = None if attribution == "none" else attribution
    return CollectSettings(crops=crops, positions=positions, attribution=method, precision=precision, seed=seed)


def build_settings(
    layers: Sequence[str],
    grids: Sequence[int],
    collect: CollectSettings,
    layout: LayoutSettings,
    icons: InversionSettings,
) -> BuildSettings:
    from actatlas.planning import BuildSettings

    return BuildSettings(
        layers=tuple(layers),
        grids=tuple(grids),
        collect=collect,
        layout=layout,
        icons=icons,
    )


def layout_settings(method: str | None, align: bool, seed: int) -> LayoutSettings:
    from actatlas.layout import LayoutSettings

    return LayoutSettings(method=method, align=align, seed=seed)


def icon_settings(icon_px: int | None, draft: bool) -> InversionSettings:
    from actatlas.inversion import InversionSettings

    settings = InversionSettings() if icon_px is None else InversionSettings(size_px=icon_px)
    return settings.as_draft() if draft else settings


def executor_of(executor: Executor | str | None) -> Executor | None:
    """By its name: "in-process" or "ray". Raises UsageError, MissingExtra."""
    if not isinstance(executor, str):
        return executor
    from actatlas.executors import InProcess, Ray

    if executor not in ("in-process", "ray"):
        raise UsageError(f'there is no executor "{executor}"; give in-process or ray')
    return Ray() if executor == "ray" else InProcess()


def _told(progress: Progress | bool) -> Progress:
    if isinstance(progress, bool):
        return StderrProgress() if progress else Silent()
    return progress
