"""The headers of a tar archive, one after another: names, places and sizes of its members. Nothing is ever extracted.

Read by hand because archives are strangers': every length that a header claims is held against what is there, and the
headers before a member may not grow without end. ustar, GNU and pax headers are understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from actatlas.errors import ImageError
from actatlas.images.addresses import length_of

BLOCK = 512
_LARGEST_HEADER_BYTES = 2**20
_MOST_HEADERS = 8  # before one member
_REGULAR = (b"0", b"\0", b"7")
# Links, devices, folders and pipes: whatever size they claim, no data follows.
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")


class Archive(Protocol):
    """What a tar is read from: `where` names it in messages."""

    where: str

    def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes, or fewer at the end. Offsets only grow."""
        ...

    def has(self, offset: int) -> bool:
        """Whether the archive is at least that long."""
        ...


@dataclass(frozen=True)
class Member:
    """name: as the archive has it, never used as a path; offset, size: of its data, in bytes"""

    name: str
    offset: int
    size: int
    is_regular: bool
    is_folder: bool


def members(archive: Archive) -> Iterator[Member]:
    """In order. Raises ImageError where the archive is torn, damaged, or none."""
    offset, headers, claimed = 0, 0, dict[str, str]()
    while True:
        header = archive.read_at(offset, BLOCK)
        if len(header) == BLOCK and not header.strip(b"\0"):
            return
        _check(archive, header, offset)
        kind, size = header[156:157], _number(header[124:136])
        if size is None:
            raise _damaged(archive, offset)
        start = offset + BLOCK
        if kind in (b"x", b"g", b"L", b"K"):
            headers += 1
            if size > _LARGEST_HEADER_BYTES or headers > _MOST_HEADERS:
                raise ImageError(f"{archive.where}: a header at byte {offset} is larger than any name needs; it is "
                                 "damaged or made to harm", path=archive.where)  # fmt: skip
            content = archive.read_at(start, size)
            if len(content) < size:
                raise _torn(archive, "a header")
            if kind == b"L":
                claimed["path"] = _text(content)
            elif kind == b"x":
                claimed |= _pax(content)
            offset = start + _whole_blocks(size)
            continue
        told = length_of(claimed.get("size", ""))
        size = size if told is None else told
        name = claimed.get("path") or _name(header)
        is_sparse = any(key.startswith("GNU.sparse") for key in claimed)
        headers, claimed = 0, {}
        length = 0 if kind in _WITHOUT_DATA else size
        if not archive.has(start + length):
            raise _torn(archive, name)
        is_folder = kind == b"5" or (kind in _REGULAR and name.endswith("/"))
        yield Member(name, start, length, kind in _REGULAR and not is_sparse and not is_folder, is_folder)
        offset = start + _whole_blocks(length)


def _check(archive: Archive, header: bytes, offset: int) -> None:
    if len(header) < BLOCK:
        if offset == 0:
            raise ImageError(f"{archive.where} is no tar archive: it has {len(header)} bytes", path=archive.where)
        raise _torn(archive, "")
    claimed = _number(header[148:156])
    if claimed == sum(header[:148]) + sum(header[156:]) + 8 * ord(" "):
        return
    if offset == 0:
        is_packed = header.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
        told = "is a compressed archive; unpack it to .tar first" if is_packed else "is no tar archive"
        raise ImageError(f"{archive.where} {told}", path=archive.where)
    raise _damaged(archive, offset)


def _torn(archive: Archive, name: str) -> ImageError:
    inside = f"inside {name!r}" if name else "without the mark of its end"
    return ImageError(f"{archive.where} is torn: it ends {inside}; fetch it again", path=archive.where)


def _damaged(archive: Archive, offset: int) -> ImageError:
    return ImageError(f"{archive.where} is damaged at byte {offset}: no header there; fetch it again",
                      path=archive.where)  # fmt: skip


def _number(field: bytes) -> int | None:
    """Octal, or GNU's base 256; None for neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip() or b"0"
    return int(digits, 8) if digits.strip(b"01234567") == b"" else None


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _pax(content: bytes) -> dict[str, str]:
    """Lines of "LENGTH KEY=VALUE\\n"; what does not read so ends them."""
    found, start = {}, 0
    while start < len(content):
        digits, space, _ = content[start : start + 20].partition(b" ")
        if not space or not digits.isdigit() or int(digits) <= len(digits) + 1:
            break
        line = content[start + len(digits) + 1 : start + int(digits) - 1]
        key, _, value = line.partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        start += int(digits)
    return found


def _whole_blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
