"""Cells and their icons as files of an atlas folder: `atlas/cells.py` reads them. records.py writes all else."""

from __future__ import annotations

import numpy as np

from actatlas.store import paths, pictures
from actatlas.store.folder import AtlasFolder
from actatlas.values import Cells, Icons


def write_cells(files: AtlasFolder, home: str, cells: Cells) -> None:
    """home: of the layer, or of the class atlas"""
    arrays = {name: value for name, value in vars(cells).items() if isinstance(value, np.ndarray)}
    arrays["lost"] = np.array([cells.dropped_count, cells.cut_count], np.int64)
    files.write_arrays(paths.cells(home, cells.side), arrays)


def write_icons(
    files: AtlasFolder, path: str, rows: np.ndarray, icons: Icons, encoded: dict[str, np.ndarray] | None = None
) -> None:
    """rows: the cells; encoded: of the very pixels that `icons` was measured on, lossless by default."""
    encoded = pictures.encode(icons.pixels) if encoded is None else encoded
    figures = {"cosine": icons.cosine, "rank": icons.rank, "shifted_cosine": icons.shifted_cosine}
    files.write_arrays(path, encoded | figures | {"rows": np.asarray(rows, np.int64)})
