"""The atlas folder on disk: file names, durable writes, journal, manifest, lock."""

from actatlas.store import levels, paths, pictures
from actatlas.store.cells import write_cells, write_icons
from actatlas.store.folder import FORMAT_VERSION, AtlasFolder, building, to_json
from actatlas.store.lock import writing

__all__ = [
    "FORMAT_VERSION", "AtlasFolder", "building", "levels", "paths", "pictures", "to_json", "write_cells", "write_icons",
    "writing",
]  # fmt: skip
