"""Writes what a page shows of photos: the sheets of patches, the views made of them, and the photos that ship."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.errors import ImageError, MissingExtra
from actatlas.progress import Progress
from actatlas.site import data, sheets
from actatlas.site.photos import Photos, places_value, shown_photos
from actatlas.site.pool import Pool, choose_pool
from actatlas.site.pyramid import webp
from actatlas.site.settings import SiteSettings
from actatlas.site.views import QUALITY, VIEWS, view_geometry, view_pyramid
from actatlas.values import Examples

Write = Callable[[Path, bytes], None]


@dataclass
class Earlier:
    """What the last writing of the same site left, so that patches need not be cut again.

    has: whether a file is there
    choices: by the layer's slug, `Pool.sha256` of the patches that are there; kept up to date
    kept: the files that were left as they are
    """

    has: Callable[[Path], bool]
    choices: dict[str, str] = field(default_factory=dict)
    kept: set[Path] = field(default_factory=set)

    def keeps(self, paths: Sequence[Path]) -> bool:
        """Whether all of these are there; then they are left as they are."""
        is_whole = all(map(self.has, paths))
        if is_whole:
            self.kept.update(paths)
        return is_whole


class PatchWriter:
    """For one site: `out` is its folder, `write` puts bytes at a path.

    shown: what the page shows of photos, once it is written: less than was asked for where photos are gone
    """

    def __init__(self, atlas: Atlas, out: Path, write: Write, settings: SiteSettings, earlier: Earlier | None):
        self.shown: Examples = "none"
        self._atlas = atlas
        self._out = out
        self._put = write
        self._settings = settings
        self._earlier = earlier

    def write(self, layers: Sequence[Layer], progress: Progress) -> dict[str, Pool]:
        """By the layer's slug, the pools whose sheets are there now. A page without patches is better than none."""
        if self._settings.examples == "none" or not self._atlas.has_photos:
            return {}
        pools = [choose_pool(layer, self._settings.sides_of(layer)) for layer in layers]
        pools = [pool for pool in pools if len(pool)]
        there = {pool.layer.slug: pool for pool in pools if self._is_there(pool)}
        missing = [pool for pool in pools if pool.layer.slug not in there]
        photos = Photos(self._settings.longest_px, self._missing_photos(pools), self._put_photo)
        try:
            for group in list(sheets.groups(missing)) or [[]] * bool(photos.missing):
                self._write_group(group, photos, progress)
                there |= {pool.layer.slug: pool for pool in group}
        except (ImageError, MissingExtra) as error:
            fewer = "not all patches and photos that it might" if there else "no patches of photos"
            progress.say(f"the page shows {fewer} ({error})")
        # In the layers' order, whichever of them were there before.
        there = {pool.layer.slug: pool for pool in pools if pool.layer.slug in there}
        self._note(there, is_whole=not photos.missing)
        return there

    def _write_group(self, group: Sequence[Pool], photos: Photos, progress: Progress) -> None:
        cut = sheets.cut(self._atlas, group, photos, progress)
        for pool, patches in zip(group, cut, strict=True):
            for path, sheet in zip(self._sheets(pool), sheets.encoded(patches), strict=True):
                self._put(path, sheet)
            for grid, view in self._views(pool):
                self._write_view(pool, grid, view, patches)

    def _write_view(self, pool: Pool, grid: Grid, view: str, patches: np.ndarray) -> None:
        folder = self._out / data.grid_folder(pool.layer.slug, grid.side)
        pyramid = view_pyramid(view, pool, grid, patches)
        for tile in pyramid.tiles():
            self._put(folder / f"{view}_files" / tile.name, webp(tile.picture, QUALITY))
        self._put(folder / f"{view}.dzi", pyramid.geometry.descriptor())

    def _note(self, there: Mapping[str, Pool], is_whole: bool) -> None:
        if self._earlier is not None:
            self._earlier.choices = {slug: pool.sha256 for slug, pool in there.items()}
        if there:
            self.shown = self._settings.examples if is_whole else "patches"
        if self.shown in ("thumbs", "originals"):
            for slug, pool in there.items():
                key = f"layers/{slug}/places"
                self._put(self._out / f"{key}.js", data.script(key, places_value(pool)))

    def _missing_photos(self, pools: Sequence[Pool]) -> set[int]:
        if self._settings.longest_px is None:
            return set()
        return {i for i in shown_photos(pools) if self._earlier is None or not self._earlier.keeps([self._photo(i)])}

    def _is_there(self, pool: Pool) -> bool:
        earlier = self._earlier
        if earlier is None or earlier.choices.get(pool.layer.slug) != pool.sha256:
            return False
        return earlier.keeps([*self._sheets(pool), *self._view_files(pool)])

    def _sheets(self, pool: Pool) -> list[Path]:
        folder = self._out / "layers" / pool.layer.slug / "patches"
        return [folder / f"{number}.jpg" for number in range(sheets.sheet_count(len(pool)))]

    def _views(self, pool: Pool) -> Iterator[tuple[Grid, str]]:
        return ((pool.layer.grid(side), view) for side in pool.of_cells for view in VIEWS)

    def _view_files(self, pool: Pool) -> Iterator[Path]:
        for grid, view in self._views(pool):
            folder = self._out / data.grid_folder(pool.layer.slug, grid.side)
            yield folder / f"{view}.dzi"
            yield from (folder / f"{view}_files" / name for name in view_geometry(pool, grid).tile_names())

    def _put_photo(self, image_id: int, jpeg: bytes) -> None:
        self._put(self._photo(image_id), jpeg)

    def _photo(self, image_id: int) -> Path:
        return self._out / self._settings.examples / f"{image_id}.jpg"
