"""Files that hold arrays by name: .npz, .npy, .safetensors, .parquet, .csv → {name: (N,) or (N, …)}."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from actatlas.errors import BadVectors, MissingExtra, UsageError, first_line

KINDS = ".npz, .npy, .safetensors, .parquet or .csv"


def read_columns(given: Any, what: str = "vectors") -> tuple[dict[str, np.ndarray], str]:
    """Arrays by name, and what messages call them.

    given: a path, or from Python a DataFrame, a mapping of arrays, or one array (N, C), then called "vectors"
    Raises BadVectors, MissingExtra for parquet without its package.
    """
    if isinstance(given, str | Path):
        path = Path(given).expanduser().resolve()
        return _of_file(path, what), str(path)
    if isinstance(given, pd.DataFrame):
        return _of_frame(given), f"the table of {what}"
    if isinstance(given, Mapping):
        return {str(name): np.asarray(values) for name, values in given.items()}, f"the mapping of {what}"
    return {"vectors": np.asarray(given)}, f"the array of {what}"


def read_vector(path: str | Path) -> np.ndarray:
    """(C,) float32 of a file that holds one array, as `build --vectors` takes it. Raises UsageError, MissingExtra."""
    arrays, where = read_columns(path, "a direction")
    if len(arrays) != 1:
        raise UsageError(f"{where} holds {len(arrays)} arrays ({', '.join(sorted(arrays))}); a direction is one alone")
    (vector,) = arrays.values()
    if vector.size != max(vector.shape, default=0) or not np.issubdtype(vector.dtype, np.number):
        raise UsageError(f"{where} holds {vector.dtype} of shape {vector.shape}; a direction is (channels,) numbers")
    return vector.astype(np.float32).ravel()


def _of_file(path: Path, what: str) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise BadVectors(f"{path} is no file; give {what} as {KINDS}")
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        if suffix == ".npy":
            return {"vectors": np.load(path, allow_pickle=False)}
        if suffix == ".safetensors":
            return load_file(path)
        if suffix in (".parquet", ".pq"):
            return _of_frame(_parquet(path))
        if suffix == ".csv":
            return _of_frame(pd.read_csv(path, encoding="utf-8-sig"))
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, SafetensorError, MemoryError) as error:
        objects = "; save text as an array of strings, not of objects" if "allow_pickle" in str(error) else ""
        said = "it holds Python objects" if objects else first_line(error)
        raise BadVectors(f"{path} cannot be read: {said}{objects or f'; save it again as {suffix}'}") from None
    raise BadVectors(f"{path} is no {KINDS}; save {what} as one of these")


def _parquet(path: Path) -> pd.DataFrame:
    engines = ("pyarrow", "fastparquet")
    if not any(importlib.util.find_spec(engine) for engine in engines):
        raise MissingExtra("pyarrow", "parquet", f"reading {path.name}")
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError):
        raise
    except Exception as error:  # each engine has a tree of errors of its own
        raise BadVectors(f"{path} cannot be read: {first_line(error)}; save it again as .parquet") from None


def _of_frame(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(name): _of_column(frame[name]) for name in frame.columns}


def _of_column(column: pd.Series) -> np.ndarray:
    """Lists of equal length become (N, …); text stays text, and what is missing of it is empty."""
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan) if column.hasnans else column.to_numpy()
    values = column.tolist()
    if values and all(isinstance(value, list | tuple | np.ndarray) for value in values):
        lengths = {len(value) for value in values}
        if len(lengths) > 1:
            raise BadVectors(
                f'column "{column.name}" holds lists of {min(lengths)} to {max(lengths)} numbers; all rows need as many'
            )
        return np.array(values)
    return np.array(["" if value is None or value is pd.NA or value != value else str(value) for value in values])
