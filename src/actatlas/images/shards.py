"""Files that hold many photos each: which ones a spec names, and what stands behind its question mark."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from actatlas.errors import NoImages
from actatlas.images import buckets
from actatlas.images.addresses import is_address, is_web
from actatlas.images.listing import natural_order

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_SHARDS = 1_000_000


@dataclass(frozen=True)
class ShardSpec:
    """spec: the whole, with an absolute path, so that it leads to the photos from anywhere
    places: paths or addresses, in natural order, each once; names: the same, as short as they stay apart
    options: what stands behind the ?
    """

    spec: str
    places: tuple[str, ...]
    names: tuple[str, ...]
    options: dict[str, str]


def read_spec(prefix: str, text: str, suffixes: Sequence[str], allowed: Sequence[str]) -> ShardSpec:
    """A path, a folder, or a pattern with * or {000..127}, on disk or in an object store; addresses of a web server.

    text: what stands behind the prefix

    Raises NoImages for what names nothing, lacks some of what it names, or has an option that there is not.
    """
    where, options = split_options(f"{prefix}:", text, allowed)
    if not is_address(where):
        where = os.path.abspath(os.path.expanduser(where))
    query = "&".join(f"{key}={value}" for key, value in options.items())
    spec = f"{prefix}:{where}{'?' if query else ''}{query}"
    if is_address(where):
        places = _expanded(where, spec) if is_web(where) else _in_store(where, spec, suffixes)
    else:
        places = _local(where, spec, suffixes)
    ordered = tuple(sorted(set(places), key=natural_order))
    return ShardSpec(spec, ordered, _short_names(ordered), options)


def split_options(prefix: str, text: str, allowed: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What stands before the ?, and the options behind it. An address keeps a ? of its own."""
    where, _, query = text.partition("?")
    values: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if key not in allowed or not equals:
            if is_web(where):
                return text, {}
            raise NoImages(f"{prefix}{text}: there is no option {key}; there are: {', '.join(allowed)}", spec=text)
        values[key] = unquote(value)
    return where, values


def shards_in(folder: str, suffixes: Sequence[str]) -> list[str]:
    """Paths of the folder's files that end so, and of its sub-folders', one level deep."""
    found = []
    for parent in (folder, *sorted(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))):
        found += [
            os.path.join(parent, name)
            for name in os.listdir(parent)
            if name.lower().endswith(tuple(suffixes)) and not name.startswith((".", "_"))
        ]
    return found


def _local(where: str, spec: str, suffixes: Sequence[str]) -> list[str]:
    if os.path.isdir(where):
        found = shards_in(where, suffixes)
        if not found:
            raise NoImages(f"{spec}: {where} holds no {' or '.join(suffixes)} file; name the folder of them", spec=spec)
        return found
    if os.path.exists(where):
        return [where]
    named = _expanded(where, spec)
    if len(named) == 1 and glob.has_magic(where):
        found = glob.glob(where)
        if not found:
            raise NoImages(f"{spec}: no file is called so; check the pattern and the folder", spec=spec)
        return found
    missing = [path for path in named if not os.path.exists(path)]
    if missing:
        others = f"; of {len(named):,} shards {len(missing):,} are missing" if len(named) > 1 else ""
        raise NoImages(f"{spec}: {missing[0]} does not exist{others}; fetch what is missing, or name the others",
                       spec=spec, missing=missing[:20])  # fmt: skip
    return named


def _in_store(where: str, spec: str, suffixes: Sequence[str]) -> list[str]:
    named = _expanded(where, spec)
    if any(map(glob.has_magic, named)):
        found = [a for name in named for a in (buckets.named_like(name) if glob.has_magic(name) else [name])]
        if not found:
            raise NoImages(f"{spec}: no file is called so; check the pattern and the bucket", spec=spec)
        return found
    if len(named) > 1 or named[0].lower().endswith(tuple(suffixes)):
        return named
    found = [file.url for file in buckets.files_in(named[0]) if file.url.lower().endswith(tuple(suffixes))]
    if not found:
        raise NoImages(f"{spec}: {where} holds no {' or '.join(suffixes)} file; name the folder of them", spec=spec)
    return found


def _expanded(pattern: str, spec: str) -> list[str]:
    """Braces as a shell has them: {a,b} and {000..127}."""
    parts = _BRACES.split(pattern)  # text, inside of braces, text, …
    choices: list[list[str]] = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            choices.append([part])
            continue
        bounds = _RANGE.fullmatch(part)
        if bounds is None:
            choices.append(part.split(","))
            continue
        first, last, width = int(bounds[1]), int(bounds[2]), len(bounds[1])
        if not 0 <= last - first < _MOST_SHARDS:
            raise NoImages(f"{spec}: {{{part}}} names no shards; write the lower number first", spec=spec)
        choices.append([f"{value:0{width}}" for value in range(first, last + 1)])
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MOST_SHARDS:
        raise NoImages(f"{spec} names {count:,} shards; name at most {_MOST_SHARDS:,}", spec=spec)
    return ["".join(choice) for choice in itertools.product(*choices)]


def _short_names(places: Sequence[str]) -> tuple[str, ...]:
    bare = [place.partition("?")[0] for place in places]
    bases = [place.replace("\\", "/").rsplit("/", 1)[-1] for place in bare]
    if len(set(bases)) == len(bases):
        return tuple(bases)
    shared = os.path.commonprefix(bare).replace("\\", "/").rsplit("/", 1)[0]
    return tuple(place[len(shared) + 1 :] for place in places)
