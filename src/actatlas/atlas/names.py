"""Which class somebody means: by name, part of a name, another name, WordNet id, or index."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cached_property

from actatlas.errors import UnknownClass

_MOST_NAMED = 6


class ClassNames:
    """The classes of a network, and what else they are called.

    labels: in the order of the logits
    others: for each class its further names, such as synonyms and the WordNet id; may be empty
    """

    def __init__(self, labels: Sequence[str], others: Sequence[Sequence[str]] = ()):
        self.labels = list(labels)
        self._names = [[label, *others[i]] if others else [label] for i, label in enumerate(self.labels)]

    @classmethod
    def of(cls, labels: Sequence[str] | None, count: int, others: Sequence[Sequence[str]] | None) -> ClassNames:
        """Of `count` classes, with or without labels."""
        return cls(labels or [f"class {i}" for i in range(count)], others or ())

    def __len__(self) -> int:
        return len(self.labels)

    def others(self, index: int) -> list[str]:
        """What else a class is called."""
        return self._names[index][1:]

    def find(self, query: str | int) -> int:
        """The index of the class. A whole name goes before a part of one.

        Raises UnknownClass, naming the nearest classes, or those that the query fits equally.
        """
        text = str(query).strip()
        if text.lstrip("-").isdigit():
            return self._by_index(int(text))
        wanted = _plain(text)
        # A class's own name goes before another's synonym, and whole names before parts.
        for fits in (self._labelled, self._called, self._with_words, self._containing):
            found = fits(wanted) if wanted else []
            if len(found) == 1:
                return found[0]
            if found:
                raise UnknownClass(
                    f'"{text}" is {self._listed(found)}; name one of them, or its index',
                    query=text, classes=[self.labels[i] for i in found],
                )  # fmt: skip
        nearest = self._nearest(wanted)
        hint = f"; nearest: {self._listed(nearest)}" if nearest else ""
        raise UnknownClass(f'no class is called "{text}"{hint}', query=text, classes=[self.labels[i] for i in nearest])

    def all_called(self, name: str) -> tuple[int, ...]:
        """The classes of which this is a whole name: one, none, or two that share it. A label goes before a synonym."""
        wanted = _plain(name)
        return tuple(self._by_label.get(wanted, ()) or self._by_name.get(wanted, ()))

    def means(self, name: str, index: int) -> bool:
        """Whether a name is one of this class's, and no mere part of one."""
        return _plain(name) in {_plain(other) for other in self._names[index]}

    @cached_property
    def _by_label(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for i, names in enumerate(self._names):
            found.setdefault(_plain(names[0]), []).append(i)
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for i, names in enumerate(self._names):
            for name in dict.fromkeys(map(_plain, names)):
                found.setdefault(name, []).append(i)
        return found

    def _by_index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise UnknownClass(
                f"there is no class {index}: the network has {len(self)}, 0 to {len(self) - 1}", query=index
            )
        return index

    def _labelled(self, wanted: str) -> list[int]:
        return self._by_label.get(wanted, [])

    def _called(self, wanted: str) -> list[int]:
        return self._by_name.get(wanted, [])

    def _with_words(self, wanted: str) -> list[int]:
        """Whole words of the label: "fox" fits "red fox", not "foxglove"."""
        return [i for i, names in enumerate(self._names) if f" {wanted} " in f" {_plain(names[0])} "]

    def _containing(self, wanted: str) -> list[int]:
        return [i for i, names in enumerate(self._names) if any(wanted in _plain(name) for name in names)]

    def _nearest(self, wanted: str) -> list[int]:
        by_name = {_plain(name): i for i, names in reversed(list(enumerate(self._names))) for name in names}
        found = difflib.get_close_matches(wanted, by_name, n=_MOST_NAMED, cutoff=0.6)
        return list(dict.fromkeys(by_name[name] for name in found))

    def _listed(self, classes: Sequence[int]) -> str:
        named = ", ".join(f"{self.labels[i]} ({i})" for i in classes[:_MOST_NAMED])
        return named if len(classes) <= _MOST_NAMED else f"{named} and {len(classes) - _MOST_NAMED} more"


def _plain(name: str) -> str:
    """Case, and what separates words, do not count."""
    return " ".join("".join(c if c.isalnum() else " " for c in name.casefold()).split())
