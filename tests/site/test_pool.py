"""Which patches a layer's cells show: each place once, a dozen where there is room, neighbours in one sheet."""

from __future__ import annotations

import re

import numpy as np
import pytest

from actatlas.errors import UnreadableImage
from actatlas.progress import Silent
from actatlas.site import pool as pools
from actatlas.site import sheets, write_own_site
from actatlas.site.photos import Photos
from actatlas.site.pool import choose_pool
from actatlas.testing import fake_atlas

NO_PHOTOS = Photos(None, set(), lambda image_id, jpeg: None)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return fake_atlas(tmp_path_factory.mktemp("pool") / "atlas", layers=2, sides=(5, 20), icon_px=24, photos=24)


def test_a_place_of_a_photo_is_there_once_however_many_cells_show_it(atlas):
    layer = atlas.layer("layer.0")
    pool = choose_pool(layer, [20, 5])
    shown = [number for side in (5, 20) for cell in pool.of_cells[side] for number in cell]
    assert sorted(set(shown)) == list(range(len(pool)))
    assert len(shown) > 10 * len(pool), "the drawn atlas has 96 activations, which hundreds of cells share"
    places = layer.places
    parts = {(places.image_ids[row], *np.floor(places.positions[row] * 6).tolist()) for row in pool.rows}
    assert len(parts) == len(pool), "two patches are of the same square of the 6 × 6 map of the same photo"


def test_rows_with_the_same_part_of_a_photo_share_a_patch(atlas, monkeypatch):
    layer = atlas.layer("layer.0")
    monkeypatch.setitem(atlas.pilot["patch_px"], "layer.0", 96)  # the whole input: places in a photo look the same
    pool = choose_pool(layer, [20])
    assert len(pool) == len(np.unique(layer.places.image_ids)) == 24
    for k, cell in enumerate(pool.of_cells[20]):
        own = layer.places.image_ids[layer.grid(20).nearest_rows(k, 12)]
        assert layer.places.image_ids[pool.rows[cell]].tolist() == own.tolist()


def test_cells_show_a_dozen_and_on_crowded_grids_the_nearest_and_what_is_there(atlas, monkeypatch):
    layer = atlas.layer("layer.1")
    monkeypatch.setattr(pools, "NEW_A_GRID", 12 * len(layer.grid(5)))  # of the 20 × 20 grid's cells: one new each
    place = pools._PlaceIds(layer).of
    pool, coarse = choose_pool(layer, [5, 20]), choose_pool(layer, [5])
    before = {place(row) for row in coarse.rows.tolist()}
    for side in (5, 20):
        for k, cell in enumerate(pool.of_cells[side]):
            nearest = [place(row) for row in layer.grid(side).nearest_rows(k, 12).tolist()]
            shown = [place(row) for row in pool.rows[cell].tolist()]
            assert shown[0] == nearest[0] and set(shown) >= before & set(nearest)
            assert shown == [one for one in nearest if one in shown], "the nearest come first"
            assert side == 20 or shown == nearest
    assert len(coarse) < len(pool)


def test_neighbours_on_the_map_lie_in_the_same_sheets(atlas):
    points = [(x / 16 + 1 / 32, y / 16 + 1 / 32) for x in range(16) for y in range(16)]
    curve = sorted(points, key=lambda point: pools._along_curve(*point))
    steps = np.abs(np.diff(np.array(curve), axis=0)).sum(axis=1)
    assert np.allclose(steps, 1 / 16), "Hilbert's curve goes from square to neighbouring square"


def test_more_patches_are_smaller_and_all_sheets_together_keep_to_their_limit(atlas, monkeypatch):
    monkeypatch.setattr(pools, "SIDES_PX", ((10, 64), (1000, 48)))
    pool = choose_pool(atlas.layer("layer.0"), [5, 20])
    assert pool.size_px == 48
    (cut,) = sheets.cut(atlas, [pool], NO_PHOTOS, Silent())
    good = sheets.encoded(cut)
    assert len(good) == sheets.sheet_count(len(pool)) == -(-len(pool) // 64)
    monkeypatch.setattr(sheets, "MOST_BYTES", int(sum(map(len, good)) * 0.7))
    assert sum(map(len, sheets.encoded(cut))) <= sheets.MOST_BYTES


def test_each_photo_is_decoded_once_for_all_layers_and_grids(atlas, monkeypatch):
    read: list[int] = []
    source = atlas.source
    monkeypatch.setattr(source, "read_reduced", lambda i, px, own=source.read_reduced: (read.append(i), own(i, px))[1])
    both = [choose_pool(atlas.layer(name), [5, 20]) for name in atlas.layer_names]
    sheets.cut(atlas, both, NO_PHOTOS, Silent())
    assert sorted(read) == sorted(set(read)) and len(read) == 24


def test_an_own_site_keeps_its_patches_and_loses_what_an_earlier_form_of_it_left(atlas, monkeypatch):
    files = atlas.files
    write_own_site(atlas, Silent())
    first = {path: (files.root / path).read_bytes() for path in files.committed("site/")}
    files.write("site/layers/layer.0/20/examples/0_0.jpg", b"of an earlier form")

    def refuse(*_):
        raise UnreadableImage("a photo was asked for")

    monkeypatch.setattr(atlas.source, "read_reduced", refuse)
    monkeypatch.setattr(atlas.source, "read", refuse)
    write_own_site(atlas, Silent())
    assert {path: (files.root / path).read_bytes() for path in files.committed("site/")} == first
    assert not (files.root / "site/layers/layer.0/20/examples/0_0.jpg").exists()
    monkeypatch.undo()
    tile = min(path for path in files.committed("site/") if "/average_files/" in path)
    files.forget(tile)
    write_own_site(atlas, Silent())
    assert (files.root / tile).read_bytes() == first[tile], "a view's tile that is lost is made again"
    monkeypatch.setattr(atlas.source, "read_reduced", refuse)
    monkeypatch.setattr(pools, "NEW_A_GRID", 1)  # another choice of patches: what is there does not fit it
    told: list[str] = []
    write_own_site(atlas, Told(told))
    assert len(told) == 1 and "a photo was asked for" in told[0]
    left = [path for path in files.committed("site/") if re.search(r"patches|average|\.jpg$", path)]
    assert left == []


class Told(Silent):
    def __init__(self, lines: list[str]):
        self.say = lines.append
