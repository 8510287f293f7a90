"""Before an unfinished atlas is continued: what was lost on the way is made again, and what was made of it with it.

Files are made of those before them, and the same from the same. So it is enough to drop what says that a unit is whole
where one of its files is not, and what would otherwise mix two runs that need not agree: the pilot's precision goes by
a clock.
"""

from __future__ import annotations

import re

from actatlas.progress import Progress
from actatlas.store import AtlasFolder, paths

_SHARD = re.compile(r"(?:places|predictions|layers/[^/]+/activations)/(\d+)\.safetensors")
_UNIT = re.compile(r"layers/[^/]+/attributions/.*")
_EXPECTATION = re.compile(r"(layers/[^/]+/)expectation\.\w+")
_ROUND = re.compile(r"(layers/[^/]+/grids/\d+/icons/)\d+\.safetensors")
_PART = re.compile(r"layers/[^/]+/(?:regions\.|confusions/)")
_CLASS = re.compile(r"layers/[^/]+/classes/[^/]+/")
_MADE = ("shards/", "places/", "predictions/", "layers/", "site/", "site.json", "pilot.")


def mend(files: AtlasFolder, progress: Progress) -> None:
    """What still counts as done afterwards is sound. Of a finished atlas sizes are looked at, of another every byte."""
    count = len(files.lost) if files.is_finished else files.tidy()
    if not count:
        return
    progress.say(f"{files.root}: {count} of its files are lost or damaged; they are made again")
    files.reopen()
    for lost in files.lost:
        for path in [path for path in files.committed() if _needs(path, lost)]:
            files.forget(path)


def _needs(path: str, lost: str) -> bool:
    """Whether a file must not count as done where another of the same atlas is lost."""
    if lost in ("pilot.json", "pilot.safetensors"):
        return path.startswith(_MADE)
    if shard := _SHARD.fullmatch(lost):
        return path == paths.shard(int(shard[1]))
    if home := _CLASS.match(lost):
        return path == f"{home[0]}chosen.json"
    if _UNIT.fullmatch(lost):
        return _UNIT.fullmatch(path) is not None  # numbered by what was wanted when they were made, over all layers
    # Icons count as complete by their last file, and are painted by what was learnt.
    if learnt := _EXPECTATION.fullmatch(lost):
        return path == f"{learnt[1]}expectation.json" or (
            path.startswith(f"{learnt[1]}grids/") and path.endswith("/mended.safetensors")
        )
    if icons := _ROUND.fullmatch(lost):
        return path == f"{icons[1]}mended.safetensors"
    whole = _PART.match(lost)
    return whole is not None and path.startswith(whole[0]) and path.endswith(".json")


def forget_what_follows_layout(files: AtlasFolder, layer: str) -> None:
    """Cells and icons of a map that is no more."""
    files.forget(paths.grids(paths.home(layer)))
    files.forget(paths.attribution_units(layer))
