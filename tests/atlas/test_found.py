"""What was found out about an atlas, read again as tables."""

import json

import pytest

import actatlas
from actatlas.testing import fake_atlas


@pytest.fixture(scope="module")
def shipped():
    return actatlas.open_demo()


def test_what_cells_are_made_of_is_one_row_an_earlier_cell(shipped):
    table = shipped.found_traces()
    path = shipped.folder / "layers/blocks.15.expanded/traces/20/1,14.json"
    kept = json.loads(path.read_text())
    rows = table[table["cell"] == "1,14"]
    told = [
        (origin["layer"], one["cell"], one["contribution"], one["photos"], origin["lost_named"], origin["lost_random"])
        for origin in kept["origins"]
        for one in origin["contributors"]
    ]
    columns = ["made_of_layer", "made_of", "contribution", "photos", "lost", "lost_random"]
    assert [tuple(row) for row in rows[columns].to_numpy().tolist()] == told and len(told) > 4
    assert set(rows["layer"]) == {"blocks.15.expanded"} and set(rows["grid"]) == {20}
    assert table["cell"].nunique() == len(list(path.parent.iterdir()))


def test_misunderstandings_are_rows_with_their_proof_the_best_first(shipped):
    table = shipped.found_confusions()
    kept = json.loads((shipped.folder / "layers/blocks.15.expanded/confusions/list.json").read_text())
    assert list(table["told"]) == [entry["told"] for entry in kept["entries"]]
    first = table.iloc[0]
    assert first["told"].startswith(f"{first['concept']} taken for {first['target']}: turns {first['turned']:.0%} of ")
    assert (first["low"], first["high"]) == tuple(kept["entries"][0]["proof"]["patch"]["interval"])
    assert first["photos"] == kept["entries"][0]["proof"]["scored"]
    column, row = map(int, first["cell"].split(","))
    cell = shipped.layer(first["layer"]).grid(first["grid"]).cell_at(column, row)
    assert cell.k == kept["entries"][0]["proposal"]["k"]
    beyond = table["turned"] - table[["noise", "grey", "other_patch"]].max(axis=1)
    assert beyond.is_monotonic_decreasing


def test_an_atlas_about_which_nothing_was_found_has_empty_tables_with_the_same_columns(shipped, tmp_path):
    bare = fake_atlas(tmp_path / "atlas", layers=1, sides=(4,), icon_px=16)
    for name in ("found_traces", "found_confusions"):
        empty, full = getattr(bare, name)(), getattr(shipped, name)()
        assert empty.empty and not full.empty and list(empty) == list(full)
