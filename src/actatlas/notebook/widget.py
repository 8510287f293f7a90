"""The page of an atlas as a widget: it asks Python for its files, and says what is chosen on it.

Nothing is served on a port, so it works wherever a notebook's own messages arrive.
"""

from __future__ import annotations

import base64
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import anywidget
import pandas as pd
import traitlets
from IPython.core.getipython import get_ipython

from actatlas.atlas import Atlas, Cell, Grid, Layer
from actatlas.errors import ActatlasError, OldPackage, first_line
from actatlas.notebook.page import AtlasPage, Start, layers_of
from actatlas.notebook.still import still
from actatlas.progress import Silent
from actatlas.site import static_file

# What shows it. Each is looked at only where it is installed: a notebook may be shown by a program of another machine.
_LEAST = {"anywidget": "0.9", "ipywidgets": "7.7", "jupyterlab": "3.0", "notebook": "6.5"}

_LIVE = "application/vnd.jupyter.widget-view+json"


class AtlasWidget(anywidget.AnyWidget):
    """The page of an atlas in a notebook. `cell`, `selection`, `layer` and `grid` say what is chosen on it.

    address: what is on the map, as behind the # of the page (docs/site.md); set it to go elsewhere
    height: in CSS pixels
    chosen: what the page says: {"layer", "cell": {"column", "row", "side"} or None, "picked": as many such}; observe it
        to hear of every choice
    """

    _esm = static_file("widget.js").decode()
    page = traitlets.Unicode().tag(sync=True)
    address = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(640).tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)

    def __init__(self, page: AtlasPage, start: Start, height: int):
        self._page = page
        self._start = start
        self._tables: dict[tuple[str, int], pd.DataFrame] = {}
        super().__init__(page=page.html(start), address=start.address, height=height, chosen=_chosen(start))
        self.on_msg(self._answer)

    @property
    def atlas(self) -> Atlas:
        return self._page.atlas

    @property
    def layer(self) -> Layer:
        """The layer, or the atlas of a class, that is worked on."""
        return layers_of(self.atlas)[self.chosen["layer"]]

    @property
    def grid(self) -> Grid:
        """The one that the chosen cells are of; the coarsest where none is chosen."""
        places = self._places()
        return self.layer.grid(places[0]["side"] if places else self.layer.grid_sides[0])

    @property
    def cell(self) -> Cell | None:
        """The one whose panel is open; None where none is, or the square is empty."""
        place = self.chosen["cell"]
        if place is None:
            return None
        found = _rows(self.layer.grid(place["side"]), [place])
        return Cell(self.layer.grid(place["side"]), found[0]) if found else None

    @property
    def selection(self) -> pd.DataFrame:
        """The cells that were picked (by box, lasso or the key s), else the one whose panel is open: their rows of
        `grid.table()`, with the layer and the side of the grid. No rows where nothing is chosen.
        """
        grid = self.grid
        key = (self.chosen["layer"], grid.side)
        if key not in self._tables:
            table = grid.table()
            table.insert(0, "layer", key[0])
            table.insert(1, "grid", grid.side)
            self._tables[key] = table
        return self._tables[key].iloc[_rows(grid, self._places())].reset_index(drop=True)

    def __repr__(self) -> str:
        return f"AtlasWidget({self.atlas.title!r})"

    def _repr_mimebundle_(self, **how: Any) -> Any:
        """The live page and, for whatever cannot run it (converted HTML, GitHub), a picture of what it begins with.

        The picture alone where a program executes the notebook: what it keeps of a widget shows nothing later.
        """
        shown = super()._repr_mimebundle_(**how)
        if shown is None:
            return None
        data, about = shown
        if _is_unattended():
            data = {kind: value for kind, value in data.items() if kind != _LIVE}
        return data | {"image/jpeg": self._still}, about

    # --- inside

    @cached_property
    def _still(self) -> str:
        """As a notebook keeps it: base64."""
        return base64.b64encode(still(self.atlas, self._start)).decode("ascii")

    def _places(self) -> list[dict[str, int]]:
        cell = self.chosen["cell"]
        return self.chosen["picked"] or ([] if cell is None else [cell])

    def _answer(self, _widget: Any, asked: Any, _buffers: Any) -> None:
        """One file to the page, or a sentence that says why not."""
        if not isinstance(asked, dict) or asked.get("kind") != "ask":
            return
        path = str(asked.get("path"))
        try:
            told = {"value": self._page.value(path)}
        except KeyError:
            told = {"error": f"The atlas has no {path} any more; run the cell of this notebook again."}
        except (ActatlasError, OSError) as error:
            told = {"error": f"{path} cannot be read: {first_line(error)}"}
        self.send({"kind": "file", "path": path, **told})


def show(
    atlas: Atlas, layer: str | Layer | None, grid: int | None, cell: tuple[int, int] | None, height: int
) -> AtlasWidget:
    """See WorkingAtlas.show."""
    for package, least in _LEAST.items():
        require(package, least)
    page = AtlasPage(atlas, Silent())
    return AtlasWidget(page, Start.of(atlas, layer, grid, cell), height)


def _is_unattended() -> bool:
    """Whether the running cell was sent by a program (nbconvert, nbmake, papermill): none of them answers input()."""
    ask = getattr(getattr(get_ipython(), "kernel", None), "get_parent", dict)
    parent: dict[str, Any] = ask() or {}
    return not parent.get("content", {}).get("allow_stdin", True)


def require(package: str, least: str) -> None:
    """Raises OldPackage."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return
    if _numbers(found) < _numbers(least):
        raise OldPackage(package, found, least, "the widget")


def _numbers(text: str) -> tuple[int, int]:
    parts = [*text.split("."), "0"]
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts[:2])  # type: ignore[return-value]


def _chosen(start: Start) -> dict[str, Any]:
    cell = start.cell and {"column": start.cell[0], "row": start.cell[1], "side": start.side}
    return {"layer": start.layer.title, "cell": cell, "picked": []}


def _rows(grid: Grid, places: list[dict[str, int]]) -> list[int]:
    """Numbers of the cells at some squares, in their order; empty squares are left out."""
    at = {(int(column), int(row)): k for k, (column, row) in enumerate(grid.coordinates)}
    found = (at.get((place["column"], place["row"])) for place in places if place["side"] == grid.side)
    return [k for k in found if k is not None]
