"""Docstrings as the site shows them: lines such as `layer: name as …` become a list. mkdocs.yml names this to griffe.

In Markdown they would run together into one paragraph. Which lines are meant is known from the object: they begin with
names of its parameters, of a class's fields, or of a table's columns, several joined by commas; "; name: " on a line
begins another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

Names = set[str] | None
_NAMES = r"[a-z_]\w*(?:, [a-z_]\w*)*"
_ENTRY = re.compile(rf"({_NAMES}): (.*)")
_NEXT = re.compile(rf"; (?={_NAMES}: )")


class DocstringLists(griffe.Extension):
    """Found by griffe, which calls this of each object once the package is read."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_lists(obj.docstring.value, _names_of(obj))


def with_lists(docstring: str, names: Names) -> str:
    """The docstring with a Markdown list in place of the lines that begin with `names`; None is any name."""
    told: list[str] = []
    is_in_list = False
    for line in docstring.splitlines():
        entries = list(_entries(line, names))
        is_broken_off = line[:1].islower() or " ".join(told[-1:]).endswith((";", ","))
        goes_on = line.startswith(" ") or (is_broken_off and not _ENTRY.match(line))
        if entries:
            told += [] if is_in_list else [""]
            told += entries
            is_in_list = True
        elif is_in_list and goes_on:
            first, *more = _parts(line.strip(), names)
            told[-1] += f" {first}"
            told += more
        else:
            told += [""] if is_in_list and line.strip() else []
            told.append(line)
            is_in_list = False
    return "\n".join(told)


def _entries(line: str, names: Names) -> Iterator[str]:
    """Items of the list that the line is; none where it does not begin with names."""
    if _is_entry(line, names):
        yield from _parts(line, names)


def _parts(text: str, names: Names) -> Iterator[str]:
    """At each "; name: " another item; what stands before the first is left as it is where it begins with no name."""
    parts = [""]
    for piece in _NEXT.split(text):
        if parts == [""] or _is_entry(piece, names):
            parts.append(piece)
        else:
            parts[-1] += f"; {piece}"
    for part in parts[1:]:
        yield _item(part) if _is_entry(part, names) else part


def _is_entry(text: str, names: Names) -> bool:
    found = _ENTRY.match(text)
    return found is not None and (names is None or set(found[1].split(", ")) <= names)


def _item(text: str) -> str:
    found = _ENTRY.match(text)
    assert found is not None
    return f"- {', '.join(f'`{name}`' for name in found[1].split(', '))}: {found[2]}"


def _names_of(obj: griffe.Object) -> Names:
    """Parameters of a function, or any where it gives a table, whose columns they are; of a class its members and what
    its making takes.
    """
    if isinstance(obj, griffe.Function):
        if str(obj.returns).endswith("DataFrame"):
            return None
        return {parameter.name for parameter in obj.parameters}
    if isinstance(obj, griffe.Class):
        return {*obj.all_members, *(parameter.name for parameter in obj.parameters)}
    return set()
