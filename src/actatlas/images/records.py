"""Records of very many photos: texts in one piece of memory each, made into ImageRecords when they are looked at.

A million records as Python objects are a gigabyte; so they are the length of their paths and a few bytes each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from actatlas.values import ImageRecord

Entry = tuple[str, Mapping[str, str]]
# Columns of more different texts than this (captions) are kept one by one, others by the number of the text.
_MOST_DIFFERENT = 65_536
_ENCODING = ("utf-8", "surrogatepass")  # file names that are no UTF-8 have surrogates


class Texts:
    """Many strings, appended once, read by their number."""

    def __init__(self, texts: Iterable[str] = ()):
        self._content = bytearray()
        self._ends = array("q")
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        self._content += text.encode(*_ENCODING)
        self._ends.append(len(self._content))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, number: int) -> str:
        start = self._ends[number - 1] if number else 0
        return self._content[start : self._ends[number]].decode(*_ENCODING)


class Column:
    """Like `Texts`; texts that come often are kept once."""

    def __init__(self, texts: Iterable[str] = ()):
        self._numbers: dict[str, int] = {}
        self._different: list[str] = []
        self._of_record = array("i")
        self._one_by_one: Texts | None = None
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        if self._one_by_one is not None:
            self._one_by_one.append(text)
            return
        number = self._numbers.setdefault(text, len(self._different))
        if number == len(self._different):
            self._different.append(text)
        self._of_record.append(number)
        if len(self._different) > _MOST_DIFFERENT:
            self._one_by_one = Texts(self._different[number] for number in self._of_record)
            self._numbers, self._different, self._of_record = {}, [], array("i")

    def __len__(self) -> int:
        return len(self._of_record if self._one_by_one is None else self._one_by_one)

    def __getitem__(self, number: int) -> str:
        if self._one_by_one is not None:
            return self._one_by_one[number]
        return self._different[self._of_record[number]]


def as_texts(values: Iterable[Any], names: Sequence[str]) -> list[str]:
    """A column's values as texts; names: what the numbers of classes mean"""
    return [
        "" if value is None else names[value] if isinstance(value, int) and 0 <= value < len(names) else str(value)
        for value in values
    ]


class Growing:
    """Records of which one has other columns than the next: what one lacks is empty."""

    def __init__(self, most_columns: int):
        self.paths = Texts()
        self.columns: dict[str, Column] = {}
        self._most_columns = most_columns

    def add(self, path: str, columns: Mapping[str, str]) -> None:
        for name in columns:
            if name not in self.columns and len(self.columns) < self._most_columns:
                self.columns[name] = Column("" for _ in range(len(self.paths)))
        self.paths.append(path)
        for name, column in self.columns.items():
            column.append(columns.get(name, ""))

    def done(self, first: Sequence[str] = ()) -> Records:
        """first: the columns that come before the others, which are sorted by name"""
        names = sorted(self.columns, key=lambda name: (name not in first, name))
        return Records(self.paths, {name: self.columns[name] for name in names})


class Records(Sequence[ImageRecord]):
    """ImageRecords 0 … N − 1 by their paths and columns; every entry has the columns of the first."""

    def __init__(self, paths: Texts, columns: Mapping[str, Column]):
        self.paths = paths
        self.columns = dict(columns)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Records:
        """entries: (path, columns), gone through once"""
        paths, columns = Texts(), {}
        for path, given in entries:
            if not paths:
                columns = {name: Column() for name in given}
            paths.append(path)
            for name, column in columns.items():
                column.append(given[name])
        return cls(paths, columns)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, number: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, number: slice) -> list[ImageRecord]: ...
    def __getitem__(self, number: int | slice) -> ImageRecord | list[ImageRecord]:
        if isinstance(number, slice):
            return [self._record(i) for i in range(*number.indices(len(self)))]
        found = number + len(self) if number < 0 else number
        if not 0 <= found < len(self):
            raise IndexError(f"record {number} of {len(self)}")
        return self._record(int(found))

    def __iter__(self) -> Iterator[ImageRecord]:
        return map(self._record, range(len(self)))

    def _record(self, number: int) -> ImageRecord:
        columns = {name: column[number] for name, column in self.columns.items()}
        return ImageRecord(number, self.paths[number], columns)
