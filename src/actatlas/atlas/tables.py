"""Tables of photos, as an atlas folder keeps them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd

from actatlas.store import AtlasFolder


def read_images(files: AtlasFolder, path: str) -> pd.DataFrame:
    """A row a photo: id as int64, all else as text. Raises NotAnAtlas, UnfinishedAtlas."""
    try:
        return _parsed(files.read_bytes(path))
    except (KeyError, ValueError):  # pandas' own errors are ValueErrors
        raise files.damaged(path) from None


def _parsed(content: bytes) -> pd.DataFrame:
    how: dict[str, Any] = {"keep_default_na": False, "encoding_errors": "surrogateescape", "lineterminator": "\n"}
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, **how)
    except UnicodeEncodeError:  # a file's name that is no UTF-8, which pandas' own strings refuse
        table = pd.read_csv(io.BytesIO(content), dtype=object, **how)
    table["id"] = table["id"].astype(np.int64)
    return table
