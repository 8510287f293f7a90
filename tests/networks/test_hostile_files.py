"""Weight files and tables of strangers: nothing in them runs, and each is refused by one clear sentence, soon."""

import io
import json
import os
import pickle
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from actatlas.errors import ActatlasError
from actatlas.given import read_columns
from actatlas.images import open_source
from actatlas.networks.checkpoints import read_state

MOST_S = 2.0
CANARY = "ACTATLAS_TEST_CANARY"


class Bomb:
    """Touches a file when it is unpickled."""

    def __reduce__(self):
        return os.system, (f"touch {os.environ[CANARY]}",)


class Evaluated:
    def __reduce__(self):
        return eval, (f"open({os.environ[CANARY]!r}, 'w')",)


def in_zip(path: Path, content: bytes) -> None:
    """As torch.save writes it, with this in the pickle's place."""
    torch.save({"a": torch.zeros(3)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, content if name.endswith("data.pkl") else part)


def legacy(path: Path, *values: object) -> None:
    """As torch.save wrote it before it wrote zips: magic number, protocol, system, then the object."""
    with open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, *values):
            pickle.dump(value, file, protocol=2)


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape=(2,), offsets=(0, 8), dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def of_tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("pickle", "storages", "tensors"):
            content = pickle.dumps(Bomb())
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo("../../escaped")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(info)


def bombed_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(50 * 10**6))
        archive.writestr("x/version", "3")


WEIGHTS = {
    "bomb-in-zip.pth": lambda p: torch.save(Bomb(), p),
    "bomb-beside-tensors.pth": lambda p: torch.save({"state_dict": {"a": torch.zeros(2)}, "x": Bomb()}, p),
    "bomb-deep.pth": lambda p: torch.save({"state_dict": {"a": [{"b": (Bomb(),)}]}}, p),
    "bomb-as-key.pth": lambda p: torch.save({("a", Evaluated()): 1}, p),
    "whole-module.pth": lambda p: torch.save(torch.nn.Linear(2, 2), p),
    "swapped-pickle.pth": lambda p: in_zip(p, pickle.dumps(Bomb())),
    "global-os-system.pth": lambda p: in_zip(p, b"\x80\x02cos\nsystem\n(X\x01\0\0\0xtR."),
    "builtins-eval.pth": lambda p: in_zip(p, b"\x80\x02cbuiltins\neval\n(X\x04\0\0\x001+1 tR."),
    "torch-jit.pth": lambda p: in_zip(p, b"\x80\x02ctorch.jit\nload\n(X\x01\0\0\0xtR."),
    "getattr.pth": lambda p: in_zip(p, b"\x80\x02c__builtin__\ngetattr\n(ctorch\nTensor\nX\x04\0\0\0loadtR."),
    "memo-bomb.pth": lambda p: in_zip(p, b"\x80\x02" + b"h\xff" * 1000 + b"."),
    "stack-underflow.pth": lambda p: in_zip(p, b"\x80\x02" + b"0" * 1000 + b"R."),
    "laughs.pth": lambda p: in_zip(p, b"\x80\x02]q\0" + b"(h\0h\0lq\0" * 40 + b"."),
    "legacy.pth": lambda p: legacy(p, Bomb(), []),
    "legacy-nested.pth": lambda p: legacy(p, {"a": [Evaluated()]}, []),
    "plain-pickle.pth": lambda p: p.write_bytes(pickle.dumps(Bomb())),
    "protocol-0.pth": lambda p: p.write_bytes(pickle.dumps(Bomb(), protocol=0)),
    "protocol-5.pt": lambda p: p.write_bytes(pickle.dumps({"a": Evaluated()}, protocol=5)),
    "of-tar.pth": of_tar,
    "zip-bomb.pth": bombed_zip,
    "no-pickle.pth": lambda p: zipfile.ZipFile(p, "w").writestr("x/version", "3"),
    "cut.pth": lambda p: (torch.save({"a": torch.zeros(9)}, p), p.write_bytes(p.read_bytes()[:300])),
    "empty.pth": lambda p: p.write_bytes(b""),
    "text.bin": lambda p: p.write_text("hello"),
    "bytes.pkl": lambda p: p.write_bytes(os.urandom(5000)),
    "header-100-gb.safetensors": lambda p: p.write_bytes(safetensors({}, length=100 * 2**30)),
    "header-max.safetensors": lambda p: p.write_bytes(b"\xff" * 8 + b"{}"),
    "header-cut.safetensors": lambda p: p.write_bytes(safetensors({"a": tensor()})[:20]),
    "no-json.safetensors": lambda p: p.write_bytes(safetensors(b"{]")),
    "deep-json.safetensors": lambda p: p.write_bytes(safetensors(b'{"a":' * 100_000)),
    "overlap.safetensors": lambda p: p.write_bytes(safetensors({"a": tensor(), "b": tensor()}, bytes(8))),
    "hole.safetensors": lambda p: p.write_bytes(
        safetensors({"a": tensor(), "b": tensor(offsets=(16, 24))}, bytes(24))
    ),
    "overflow.safetensors": lambda p: p.write_bytes(
        safetensors({"a": tensor((2**33, 2**33), (0, 8))}, bytes(8))
    ),
    "beyond-the-end.safetensors": lambda p: p.write_bytes(safetensors({"a": tensor((2**20,), (0, 2**22))}, bytes(8))),
    "negative.safetensors": lambda p: p.write_bytes(safetensors({"a": tensor((-2,), (8, 0))}, bytes(8))),
    "kind.safetensors": lambda p: p.write_bytes(safetensors({"a": tensor(dtype="PICKLE")}, bytes(8))),
    "pickle.safetensors": lambda p: p.write_bytes(pickle.dumps(Bomb())),
}  # fmt: skip

TABLES = {
    "objects.npy": lambda p: np.save(p, np.array([Bomb()], object), allow_pickle=True),
    "objects.npz": lambda p: np.savez(p, vectors=np.array([Bomb()], object)),
    "pickle.npy": lambda p: p.write_bytes(pickle.dumps(Bomb())),
    "pickle.npz": lambda p: p.write_bytes(pickle.dumps(Bomb())),
    "huge.npy": lambda p: p.write_bytes(
        b"\x93NUMPY\x01\0v\0"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 4), }".ljust(117)
        + b"\n"
    ),
    "code.npy": lambda p: p.write_bytes(
        b"\x93NUMPY\x01\0v\0" + b"__import__('os').system('touch canary')".ljust(117) + b"\n"
    ),
    "pickle.parquet": lambda p: p.write_bytes(pickle.dumps(Bomb())),
    "header.safetensors": lambda p: p.write_bytes(safetensors({}, length=2**40)),
}

ARCHIVES = {
    "pickle.tar": lambda p: p.write_bytes(pickle.dumps(Bomb())),
    "bomb.tar": of_tar,
    "pickle-photos.parquet": lambda p: p.write_bytes(
        b"PAR1" + pickle.dumps(Bomb()) + struct.pack("<I", 2**31) + b"PAR1"
    ),
}


@pytest.fixture(autouse=True)
def canary(tmp_path, monkeypatch):
    """Nothing may create it."""
    file = tmp_path / "canary"
    monkeypatch.setenv(CANARY, str(file))
    monkeypatch.chdir(tmp_path)
    yield file
    assert not file.exists() and not Path("x").exists() and not (tmp_path.parent / "escaped").exists()


def refused(read, path: Path) -> None:
    started = time.process_time()
    with pytest.raises(ActatlasError) as caught:
        read(path)
    assert time.process_time() - started < MOST_S, "it took long"
    text = str(caught.value)
    assert path.name in text and "\n" not in text and len(text) < 600, text


def test_the_bomb_goes_off_where_it_is_unpickled(canary):
    pickle.loads(pickle.dumps(Bomb()))
    assert canary.exists(), "the control"
    canary.unlink()


@pytest.mark.parametrize("name", WEIGHTS)
def test_nothing_in_a_weight_file_runs(name, tmp_path):
    WEIGHTS[name](tmp_path / name)
    refused(read_state, tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_nothing_in_a_table_of_vectors_runs(name, tmp_path):
    TABLES[name](tmp_path / name)
    refused(read_columns, tmp_path / name)


@pytest.mark.parametrize("name", ARCHIVES)
def test_nothing_in_an_archive_of_photos_runs(name, tmp_path):
    ARCHIVES[name](tmp_path / name)
    refused(open_source, tmp_path / name)
