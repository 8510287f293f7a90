"""What a late cell is made of: on a network of which it is known, and on the packaged one."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import actatlas
from actatlas import cli
from actatlas.classes.tracing import strongest_cell, trace_cell
from actatlas.errors import LayerNotFound, PlanChanged, UsageError
from actatlas.preprocessing import Preprocessing

RED, GREEN, BLUE = 0, 1, 2


class Colours(nn.Module):
    """Early channels are the colours of a place; the late one that counts is where much red lies around."""

    def __init__(self):
        super().__init__()
        self.early = nn.Conv2d(3, 3, 4, stride=4, bias=False)
        self.seen = nn.ReLU()
        self.late, self.felt = nn.Conv2d(3, 2, 3, padding=1, bias=False), nn.ReLU()
        with torch.no_grad():
            self.early.weight.zero_()
            self.late.weight.zero_()
            for channel in range(3):
                self.early.weight[channel, channel] = 1 / 16
            self.late.weight[0, RED] = 1 / 9
            self.late.weight[1, BLUE] = 1 / 9

    def forward(self, x):
        return self.felt(self.late(self.seen(self.early(x)))).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """An atlas of pictures that are patchworks of red, green and blue."""
    photos, random = tmp_path_factory.mktemp("patchworks"), np.random.default_rng(0)
    for i in range(40):
        squares = np.eye(3)[random.integers(0, 3, (4, 4))] * 215 + random.integers(0, 40, (4, 4, 3))
        Image.fromarray(squares.repeat(8, 0).repeat(8, 1).astype(np.uint8)).save(photos / f"{i}.png")
    network = actatlas.load_network(
        Colours(), preprocessing=Preprocessing(input_px=(32, 32), resize_px=32), labels=["much red", "much blue"]
    )
    atlas = actatlas.build(
        photos, out=photos.parent / "patchwork-atlas", model=network, layers=["seen", "felt"], grids=[5], positions=8,
        draft=True, icon_px=16, precision="float32", progress=False,
    )  # fmt: skip
    atlas.network = network
    return atlas


def test_a_cell_that_answers_to_red_is_made_of_red_cells(colours):
    trace = colours.trace("much red")
    late, (origins,) = trace.grid, trace.origins
    assert late.layer.name == "felt" and trace.k == late.attributions[:, 0].argmax() == strongest_cell(late, 0)
    early = origins.grid.means
    assert origins.contributors and trace.answer > 0
    for found in origins.contributors:
        assert early[found.k].argmax() == RED and found.contribution > 0 and found.positions > 0
        own = set(late.photos(trace.k)) & set(origins.grid.photos(found.k))
        assert found.photos == len(own)
    shares = [found.contribution for found in origins.contributors]
    assert shares == sorted(shares, reverse=True)
    assert origins.lost_named > 0.2 and origins.lost_named > 2 * origins.lost_random


def test_a_trace_is_a_table_and_a_picture_and_is_found_again(colours):
    trace = colours.trace("much red")
    table, (origins,) = trace.table(), trace.origins
    assert list(table["made_of_layer"]) == ["seen"] * len(origins.contributors)
    assert np.allclose(table["contribution"], [found.contribution for found in origins.contributors], atol=1e-4)
    assert np.allclose(table[["lost", "lost_random"]], [origins.lost_named, origins.lost_random], atol=1e-4)
    again = actatlas.open(colours.folder).found_traces()
    late = f"{','.join(map(str, trace.grid.coordinates[trace.k]))}"
    assert again[again["cell"] == late].reset_index(drop=True).equals(table)
    assert trace.title == "much red" and trace.picture().width > 300
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(trace._repr_png_()))), np.asarray(trace.picture()))


def test_a_class_is_followed_in_a_picture_of_the_layers_that_are_asked_for(colours):
    whole, late = colours.follow_picture("much red"), colours.follow_picture("much red", layers=["felt"])
    assert np.array_equal(np.asarray(late)[60:, 16:-16], np.asarray(whole)[60:, -late.width + 16 : -16])
    assert whole.width > 1.8 * late.width
    with pytest.raises(LayerNotFound, match="unseen"):
        colours.follow_picture("much red", layers=["unseen"])


def test_what_is_lost_is_what_the_network_loses(colours):
    """Worked out again, by hand: the named positions become the layer's mean."""
    trace = colours.trace("much blue")
    late, (origins,) = trace.grid, trace.origins
    layer, early = late.layer, origins.grid
    direction = late.means[trace.k] - layer.mean
    direction /= np.linalg.norm(direction)
    means = early.means - early.layer.mean
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    named = {found.k for found in origins.contributors}
    before, after = [], []
    for row in late.nearest_rows(trace.k, 12):
        photo = colours.source.read(int(layer.places.image_ids[row]))
        with torch.no_grad():
            maps = colours.network.activations(
                colours.network.normalize(colours.network.pixels(photo)[None]), ["seen", "felt"]
            )
        place = np.floor(layer.places.positions[row] * 8).astype(int)
        seen = maps["seen"][0].numpy()
        silenced = seen.copy()
        for i in range(8):
            for j in range(8):
                if int((means @ (seen[:, i, j] - early.layer.mean)).argmax()) in named:
                    silenced[:, i, j] = early.layer.mean
        module = colours.network.module
        with torch.no_grad():
            felt = module.felt(module.late(torch.from_numpy(silenced)[None]))[0].numpy()
        before.append((maps["felt"][0].numpy()[:, place[0], place[1]] - layer.mean) @ direction)
        after.append((felt[:, place[0], place[1]] - layer.mean) @ direction)
    assert trace.answer == pytest.approx(np.mean(before), rel=1e-4)
    assert origins.lost_named == pytest.approx(1 - np.mean(after) / np.mean(before), abs=1e-3)


def test_layers_and_weights_that_do_not_fit_are_refused(colours, network):
    early, late = (colours.layer(name).grid(5) for name in ("seen", "felt"))
    with pytest.raises(UsageError, match="is not before"):
        trace_cell(colours.network, early, 0, [late])
    with pytest.raises(PlanChanged):
        trace_cell(network, late, 0, [early])


def test_the_command_traces_and_draws(colours, tmp_path, capsys, monkeypatch):
    network = colours.network
    monkeypatch.setattr(actatlas.working.WorkingAtlas, "network", property(lambda self: network))
    out = tmp_path / "trace.png"
    command = ["trace", str(colours.folder), "--class", "red", "-o", str(out), "--json"]
    assert cli.main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"] == "much red" and [layer["layer"] for layer in found["layers"]] == ["seen", "felt"]
    assert found["trace"]["origins"][0]["contributors"] and found["picture"] == str(out)
    for key in ("picture", "strip"):
        with Image.open(found[key]) as picture:
            assert picture.width > 300
    assert cli.main([*command[:-1], "--cell", "9,9"]) == 2
    assert "no cell at 9,9" in capsys.readouterr().err
