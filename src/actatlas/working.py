"""The atlas that people hold in Python: the reader's, with what paints, traces, and makes atlases of classes."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from actatlas.atlas import Atlas, ClassAtlas, ClassNames, Grid, Layer, Projection
from actatlas.classes.directions import forget_direction, keep_direction
from actatlas.classes.following import draw_strip, followed, grid_of
from actatlas.classes.targets import ChannelTarget, ClassTarget, DirectionTarget, Target, VersusTarget
from actatlas.errors import MissingExtra, NetworkError, UsageError
from actatlas.progress import Progress, Silent
from actatlas.store import AtlasFolder

if TYPE_CHECKING:
    from PIL import Image

    from actatlas.classes.making import LayoutMethod
    from actatlas.classes.tracing import Trace
    from actatlas.confusions import Confusions
    from actatlas.networks import Network
    from actatlas.notebook.embedding import EmbeddedAtlas
    from actatlas.notebook.widget import AtlasWidget
    from actatlas.values import Icons


class WorkingAtlas(Atlas):
    """`network` is loaded when it is first needed, by the atlas's spec; set it where that does not lead to it."""

    def __init__(self, files: AtlasFolder):
        super().__init__(files)
        self._network: Network | None = None

    @classmethod
    def opened(cls, folder: str | Path) -> WorkingAtlas:
        """Raises NotAnAtlas."""
        return cls(AtlasFolder.existing(Path(folder).expanduser().resolve()))

    @property
    def network(self) -> Network:
        if self.compared:
            told = " or ".join(one["atlas"] for one in self.compared)
            raise NetworkError(f"{self.folder} compares two networks; ask either alone, in its own atlas: {told}")
        need_torch("what paints icons")
        if self._network is None and self.shows_photos:
            raise NetworkError(
                f"{self.folder} is an atlas of vectors that came without their network: nothing can be painted or "
                "asked; build it with --model and --layer for that"
            )
        if self._network is None:
            self.network = self.plan["network"]["spec"]
        assert self._network is not None  # just set
        return self._network

    @network.setter
    def network(self, model: Any) -> None:
        from actatlas.networks import load_network

        self._network = load_network(model)

    # --- icons

    def paint(
        self,
        layer: Layer,
        targets: np.ndarray,
        others: np.ndarray,
        *,
        steps: int = 128,
        px: int | None = None,
        model: Any = None,
        seed: int = 0,
        starts: np.ndarray | None = None,
    ) -> Icons:
        """Icons of any directions of one of this atlas's layers, each told from the others.

        targets: (K, C) activations; others: (M, C) further candidates for the rank
        steps: of each icon; starts: (n, S, S, 3) uint8, pictures that a single target may begin from, the best is kept;
        None begins with nothing; px: their side, 8 to 512 network input pixels, None the atlas's
        model: the network, where the atlas's spec does not lead to it again

        Raises UsageError for sizes and steps that cannot be, PlanChanged for a network with other weights.
        """
        network = self._with(model)
        from actatlas import icons

        size_px = layer.icon_px if px is None else px
        # Icons are stored in colour: of a network with other channels they are no inputs.
        if starts is None or len(targets) != 1 or network.preprocessing.channel_count not in (1, 3):
            return icons.paint(network, layer, targets, others, steps, size_px, seed)
        return icons.paint_on(network, layer, np.concatenate([targets, others]), starts, steps, size_px, seed)

    def figure(self, grid: Grid, **how: Any) -> Any:
        """A matplotlib figure of one of its grids; `how` as figures.py has it. Raises MissingExtra."""
        if importlib.util.find_spec("matplotlib") is None:
            raise MissingExtra("matplotlib", "figures", "a figure")
        from actatlas import figures

        return figures.figure(grid, **how)

    # --- classes

    def follow(self, name: str | int, grid: int | None = None) -> pd.DataFrame:
        """The cells of every layer that speak for a class and against it: see classes/following.py.

        name: its name, part of it, a synonym, its WordNet id, or its index. Raises UnknownClass.
        """
        return followed(self, self.class_names.find(name), grid)

    def follow_picture(self, name: str | int, grid: int | None = None, layers: Sequence[str] = ()) -> Image.Image:
        """The same as a picture, RGB: the layers' maps side by side, grey where a cell does not speak for the class.

        Under each map stand the six cells that speak most for it, with their attributions in logits.

        grid: None takes each layer's coarsest; layers: empty for all
        Raises UnknownClass, LayerNotFound, NoAttributions.
        """
        index = self.class_names.find(name)
        return draw_strip(self, index, self.class_names.labels[index], grid, layers)

    def class_atlas(
        self,
        name: str | int,
        layer: str | None = None,
        grid: int = 8,
        *,
        most: int = 0,
        min_images: int = 1,
        layout: LayoutMethod = "umap",
        model: Any = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ClassAtlas:
        """An atlas of the activations of one layer that speak for a class; kept in the atlas's folder.

        layer: None takes the latest; most: so many with the highest attribution, 0 for what suits the grid
        min_images: cells of fewer distinct photos are left out
        Raises UnknownClass, TooFewImages where too few photos speak for the class.
        """
        need_torch("an atlas of a class")
        how: dict[str, Any] = {"most": most, "min_images": min_images, "layout": layout, "seed": seed}
        return self._made(self._class_target(name), layer, grid, model, progress, **how)

    def channel_atlas(self, channel: int, layer: str | None = None, grid: int = 8, **how: Any) -> ClassAtlas:
        """The same of the activations in which one channel answers most; `how` as for class_atlas."""
        need_torch("an atlas of a channel")
        return self._made(ChannelTarget(channel), layer, grid, **how)

    def direction_atlas(
        self, direction: np.ndarray, layer: str | None = None, grid: int = 8, title: str = "a direction", **how: Any
    ) -> ClassAtlas:
        """The same of the activations that point most along `direction` (C,), less the layer's mean: of a cell, a
        probe, a sparse autoencoder's feature; `how` as for class_atlas.
        """
        need_torch("an atlas of a direction")
        return self._made(DirectionTarget(direction, title), layer, grid, **how)

    def compare(
        self, name: str | int, other: str | int, layer: str | None = None, grid: int = 10, **how: Any
    ) -> ClassAtlas:
        """Two classes: x is the attribution to `other` less that to `name`, y puts like things near one another.

        Its `table()` begins with the cells that tell the classes apart most. Raises UsageError where both are one
        class; `how` as for class_atlas.
        """
        need_torch("a comparison of classes")
        first, second = self._class_target(name), self._class_target(other)
        if first == second:
            raise UsageError(f'"{name}" and "{other}" are both {first.title}; name two classes')
        return self._made(VersusTarget(first, second), layer, grid, **how)

    def trace(
        self, name: str | int, layer: str | None = None, grid: int | None = None, cell: tuple[int, int] | None = None
    ) -> Trace:
        """Which earlier cells the cell that speaks most for a class is made of: see classes/tracing.py.

        Kept in the atlas's folder, for the page.

        layer: of the late cell, None takes the latest; cell: (column, row) of another one
        """
        need_torch("a trace")
        from actatlas.classes.tracing import strongest_cell, trace_cell

        late = grid_of(self, self._layer(layer).name, grid)
        index = self.class_names.find(name)
        k = strongest_cell(late, index) if cell is None else late.cell_at(*cell).k
        names = self.layer_names[: self.layer_names.index(late.layer.name)]
        earlier = [grid_of(self, each, grid) for each in names]
        found = trace_cell(self.network, late, k, earlier, title=self.class_names.labels[index])
        found.keep()
        return found

    def keep_direction(self, name: str, direction: np.ndarray, layer: str | None = None) -> Layer:
        """Name a direction (C,) of a layer, such as a probe's, a concept's or a sparse autoencoder's: kept in the
        atlas's folder, and the page's maps can be dimmed by it. One of the same name is replaced. Gives the layer as it
        then is; its `kept_directions` have it.

        layer: None takes the latest; under one name each layer may have its own
        Raises UsageError for another length, for what is not finite or all zero, and for a name that cannot be.
        """
        return keep_direction(self._layer(layer), name, direction)

    def forget_direction(self, name: str, layer: str | None = None) -> None:
        """Of one layer, None takes all. Raises UsageError where none is called that."""
        forget_direction(self, name, layer)

    # --- what the network misunderstands

    def confusions(
        self,
        test: Any = None,
        layer: str | None = None,
        grid: int | None = None,
        *,
        top: int = 20,
        effort: int = 1,
        second: Any = None,
        at_random: bool = False,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Confusions:
        """Patches that the network takes for a class that they have nothing of; kept in the atlas's folder.

        test: images to prove them on (a folder, list, CSV, or ImageSource), None only proposes
        layer: None takes the latest; grid: None its coarsest
        effort: so many times as many patches are looked at; second: a network in which the transfer is measured
        at_random: random pairs of class and patch in the proposals' place, the search's own control
        Raises NoAttributions, NetworkError without logits, TooFewImages where there is too little to test on.
        """
        need_torch("what finds misunderstandings")
        from actatlas.confusions import SearchSettings, Test, find_confusions, prove_confusions
        from actatlas.images import open_source
        from actatlas.networks import load_network

        said = progress or Silent()
        settings = SearchSettings(top=top, effort=effort, at_random=at_random, seed=seed)
        of_layer = grid_of(self, self._layer(layer).name, grid)
        self.class_names  # noqa: B018  raises where there are no classes
        found = find_confusions(lambda: self.network, of_layer, settings, said)
        if test is None:
            return found
        other = None if second is None else load_network(second)
        return prove_confusions(lambda: self.network, found, Test(open_source(test), other, seed), said)

    def confusion_stories(self, found: Confusions, count: int, progress: Progress | None = None) -> Confusions:
        """Pictures of the first `count` proven ones, each with the atlas of its class; kept in the atlas's folder."""
        need_torch("what tells stories")
        from actatlas.confusions import write_stories

        return write_stories(lambda: self.network, self.class_atlas, found, count, progress or Silent())

    # --- other photos on the same map

    def project(
        self,
        photos: Any,
        name: str = "",
        layers: Sequence[str] = (),
        *,
        model: Any = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Projection:
        """A second set of photos on this atlas's maps, which stay as they are: which cells it reaches less and more
        than the atlas's own photos do, and what the atlas has nothing like; kept in the atlas's folder.

        photos: a folder, list, CSV, or ImageSource; collected with the atlas's own crops and positions
        name: by which it is kept, "" for the photos' own; layers: empty for all
        Raises NoImages, TooFewImages, LayerNotFound, NetworkError for an atlas of vectors, PlanChanged for a network
        with other weights.
        """
        need_torch("placing other photos")
        from actatlas.images import open_source
        from actatlas.projection import ProjectionSettings, project

        for one in layers:
            self.layer(one)  # raises where there is none
        chosen = [self.layer(one) for one in self.layer_names if not layers or one in layers]
        settings = ProjectionSettings(seed=seed)
        return project(lambda: self._with(model), chosen, open_source(photos), name, settings, progress or Silent())

    # --- in a notebook

    def show(
        self,
        layer: str | Layer | None = None,
        grid: int | None = None,
        cell: tuple[int, int] | None = None,
        height: int = 640,
    ) -> AtlasWidget:
        """The page as a widget of Jupyter, VS Code, Colab or marimo: its `cell` and `selection` say what is chosen.

        layer: its name, or an atlas of a class; None takes the latest; grid: None goes with the zoom
        cell: (column, row) of the one whose panel is open; height: in CSS pixels
        Raises MissingExtra without the extra [notebook], OldPackage; LayerNotFound, UsageError.
        """
        if importlib.util.find_spec("anywidget") is None:
            raise MissingExtra("anywidget", "notebook", "the widget (embed() works without)")
        from actatlas.notebook.widget import show

        return show(self._as_it_is_now(), layer, grid, cell, height)

    def embed(
        self,
        layer: str | Layer | None = None,
        grid: int | None = None,
        cell: tuple[int, int] | None = None,
        height: int = 640,
    ) -> EmbeddedAtlas:
        """The page, whole, as an output that stays when the notebook is converted to HTML; arguments as for `show`.

        It says how large it is. Above 15 MB finer grids are left out first, which it says too.
        """
        from actatlas.notebook.embedding import embed

        return embed(self._as_it_is_now(), layer, grid, cell, height)

    def _as_it_is_now(self) -> WorkingAtlas:
        """With what was found out, or built, since it was opened."""
        now = WorkingAtlas.opened(self.folder)
        now._network = self._network
        return now

    # --- inside

    def _class_target(self, name: str | int) -> ClassTarget:
        index = self.class_names.find(name)
        return ClassTarget(index, self.class_names.labels[index])

    def _made(
        self,
        target: Target,
        layer: str | None,
        grid: int,
        model: Any = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> ClassAtlas:
        from actatlas.classes.making import ClassSettings, make_class_atlas

        asked = ClassSettings(grid=grid, **settings)
        made = make_class_atlas(lambda: self._with(model), self._layer(layer), target, asked, progress or Silent())
        if isinstance(made.atlas, WorkingAtlas) and self._network is not None:
            made.atlas.network = self._network
        return made

    def _layer(self, name: str | None) -> Layer:
        return self.layer(self.layer_names[-1] if name is None else name)

    def _with(self, model: Any) -> Network:
        if model is not None:
            self.network = model
        return self.network


def class_names(network: Network) -> ClassNames:
    """The classes of a network, and what else they are called. Raises NetworkError where it has none."""
    from actatlas.networks import other_names

    return ClassNames.of(network.labels, network.require_logits(), other_names(network.labels))


def need_torch(purpose: str = "building an atlas") -> None:
    """Raises MissingExtra if torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("torch", "build", purpose)
