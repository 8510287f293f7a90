"""Class names from a file: one a line, or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from actatlas.errors import BadLabels


def read_labels(path: Path, class_count: int | None, spec: str) -> list[str]:
    """Names in the order of the logits: one a line, a JSON list, {index: name}, or {name: index} as torchvision's
    ImageFolder gives.

    Raises BadLabels for a file that cannot be read, or that names not as many classes as the network has logits.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "is no text" if isinstance(error, UnicodeDecodeError) else "cannot be read"
        raise BadLabels(f"labels: {path} {reason}; give a file with one class name a line", path=str(path)) from None
    if path.suffix.lower() == ".json":
        names = _from_json(text, path)
    else:
        names = [line.strip() for line in text.rstrip().splitlines()]
    if class_count is None:
        raise BadLabels(f"{spec} gives no logits (B, classes), so it has no classes to name; leave labels out")
    if len(names) != class_count:
        raise BadLabels(
            f"{path} names {len(names)} classes, but {spec} has {class_count} logits; give one name for each, in order",
            path=str(path),
            names=len(names),
            class_count=class_count,
        )
    return names


def _from_json(text: str, path: Path) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadLabels(f"labels: {path} is no JSON ({error}); mend it", path=str(path)) from None
    if isinstance(found, dict):
        found = _in_order(found)
    if isinstance(found, list) and found and all(_name(name) for name in found):
        return [_name(name) for name in found]
    raise BadLabels(
        f"labels: {path} is neither a list of names nor {{index: name}} with the indices from 0 on; mend it",
        path=str(path),
    )


def _in_order(found: dict[str, Any]) -> list[Any] | None:
    if all(isinstance(value, int) for value in found.values()):
        found = {str(index): name for name, index in found.items()}
    names = [found.get(str(index)) for index in range(len(found))]
    return None if None in names else names


def _name(value: Any) -> str:
    """ImageNet's usual file has [WordNet id, name] for each class."""
    if isinstance(value, list) and value:
        value = value[-1]
    return value if isinstance(value, str) else ""
