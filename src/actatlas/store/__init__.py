"""The atlas folder on disk: durable writes, journal, manifest, lock."""

from actatlas.store.folder import FORMAT_VERSION, AtlasFolder, to_json
from actatlas.store.lock import writing

__all__ = ["FORMAT_VERSION", "AtlasFolder", "to_json", "writing"]
