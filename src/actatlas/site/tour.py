"""A tour through an atlas: stops written in Markdown, each with the address of what it shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from actatlas.errors import UsageError

_LINK = re.compile(r"\[([^\]]*)\]\((#[^)\s]+)\)")


def parse_tour(text: str, name: str) -> list[dict[str, Any]]:
    """Stops of a tour: [{"title", "link", "text": [paragraph, …]}].

    A stop begins with a heading, `## Leaves`; its first link to an address of the page, `[there](#layer=…&at=…)`, is
    where it looks; the rest is plain text in paragraphs. What stands before the first `##` is for those who write it.

    Raises UsageError for a tour without a stop, or a stop without a link, with its line.
    """
    stops: list[dict[str, Any]] = []
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("## ")]
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        title, body = lines[start][3:].strip(), "\n".join(lines[start + 1 : end])
        link = _LINK.search(body)
        if link is None or not title:
            raise UsageError(
                f"{name}, line {start + 1}: a stop needs a title and a link to what it shows, such as "
                "[there](#layer=NAME&at=0.5,0.5,3)"
            )
        paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", _LINK.sub(r"\1", body)))
        stops.append({"title": title, "link": link[2], "text": [p for p in paragraphs if p]})
    if not stops:
        raise UsageError(f"{name} has no stop; a stop begins with a line such as: ## Leaves")
    return stops


def require_layers(stops: list[dict[str, Any]], layers: Sequence[str], name: str) -> None:
    """Raises UsageError for a stop that looks at a layer which the page has not."""
    for stop in stops:
        for layer in parse_qs(stop["link"][1:]).get("layer", []):
            if layer not in layers:
                raise UsageError(
                    f'{name}: the stop "{stop["title"]}" looks at layer "{layer}", and there are: {", ".join(layers)}'
                )
