"""The toolkit beside networks of five channels, and of one: on photos alone, on an atlas, from the shell."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import actatlas
from actatlas import Preprocessing, cli
from actatlas.bands import Bands, false_colours
from actatlas.errors import NetworkError, UnreadableImage, UsageError
from actatlas.toolkit import Studio, grids
from actatlas.values import ImageRecord

LAYER, BAND = "1", 3
ZOO = '''
"""What a package of somebody's brings."""
from five_channels_test import Scenes, five
def load(name):
    return five()
def scenes(name):
    return Scenes()
'''


class Scenes:
    """Drawn photos of five bands; the fourth alone says where a disc is."""

    spec, column_names = "bandscenes:discs", ()

    def __init__(self, count: int = 24):
        self.records = [ImageRecord(i, f"scene {i}") for i in range(count)]

    def read(self, image_id, radius=12):
        random = np.random.default_rng(image_id)
        coarse = Bands(random.integers(60, 120, (6, 8, 5), np.uint8))
        values = coarse.resize((64, 48), Image.Resampling.BICUBIC).values.copy()
        rows, columns = np.mgrid[:48, :64]
        inside = np.hypot(rows - 24, columns - 18 - image_id) < radius
        values[inside, BAND] = 200
        return Bands(values)


def five():
    """Channel 0 answers to the fourth band, channels 1 to 4 to the others; class 1 speaks for channel 0 alone."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(5, 12, 5, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)
    )
    with torch.no_grad():
        module[0].weight[:5] = 0
        for channel, band in enumerate((BAND, 0, 1, 2, 4)):
            module[0].weight[channel, band] = 0.04
        module[0].bias[:5] = 1
        module[4].weight[1] = 0
        module[4].weight[1, 0] = 1
    half, quarter = (0.5,) * 5, (0.25,) * 5
    return actatlas.load_network(module, Preprocessing((32, 32), 32, "bilinear", half, quarter, 5), ["a", "disc", "c"])


@pytest.fixture(scope="module")
def studio():
    return Studio(five(), Scenes())


@pytest.fixture(scope="module")
def scene():
    return Scenes().read(5, radius=16)


def brightest_band(pictures):
    return pictures.reshape(-1, 5).mean(axis=0).argmax()


def test_a_channel_is_painted_in_the_band_that_moves_it_and_shown_in_false_colours(studio):
    found = actatlas.toolkit.channel(studio, LAYER, 0, count=2)
    assert found.pictures.shape[0] == 2 and found.pictures.shape[3] == 5
    assert brightest_band(found.pictures) == BAND
    assert found.answers.min() > found.scale.percentiles[90]
    assert found.answers == pytest.approx(actatlas.measure_icons(studio.network, LAYER, found.pictures)[:, 0], abs=1e-4)
    assert np.array_equal(np.asarray(found.images[0]), false_colours(found.pictures)[0])
    assert len(found.patches) == 12 and {patch.mode for patch in found.patches} == {"RGB"}
    other = actatlas.toolkit.channel(studio, LAYER, 2, count=1)
    elsewhere = actatlas.measure_icons(studio.network, LAYER, found.pictures)[:, 2]
    assert other.answers[0] > max(elsewhere.max(), other.scale.percentiles[90])
    assert found.picture().size[0] == 1080 and "<img " in found.html()


def test_a_neuron_and_a_direction_are_painted_too(studio):
    found = actatlas.toolkit.neuron(studio, LAYER, 0, (1, 6), count=1)
    there = found.pictures[0, 4:8, 24:28, BAND].mean()
    assert there > found.pictures[0, ..., BAND].mean() + 20 and found.images[0].size == (32, 32)
    along = actatlas.toolkit.direction(studio, LAYER, np.eye(12)[0] - np.eye(12)[1], count=1)
    bands = along.pictures[0].mean(axis=(0, 1))
    assert bands[BAND] > bands[0] + 10


def test_a_class_is_painted_and_taken_for_it_as_a_photo_would_be(studio):
    found = actatlas.toolkit.class_picture(studio, "disc", count=1, px=32)
    assert found.answers[0] > found.scale.highest and brightest_band(found.pictures) == BAND
    network, picture = studio.network, Bands(found.pictures[0])
    probabilities = network.logits(network.normalize(network.pixels(picture)[None])).softmax(dim=1)[0]
    told = dict(found.top[0])
    assert told["disc"] == pytest.approx(float(probabilities[1]), abs=1e-4) and found.top[0][0][0] == "disc"


def test_a_photo_of_bands_is_shown_as_a_grid_and_in_groups(studio, scene, monkeypatch):
    monkeypatch.setattr(grids, "MOST_ACROSS", 4)
    found = actatlas.toolkit.activation_grid(studio, scene, [LAYER])
    (layer,) = found.layers
    assert layer.icons.shape[0] == 16 and layer.icons.shape[3] == 3 and layer.shape == (4, 4)
    assert layer.cosines.mean() > 0.5 and found.photo.mode == "RGB"
    assert np.array_equal(np.asarray(found.photo), false_colours(studio.network.preprocessing.crop(scene).values))
    (grouped,) = actatlas.toolkit.activation_grid(studio, scene, [LAYER], groups=2).layers
    assert grouped.icons.shape[0] == 2 and grouped.icons.shape[3] == 3


def test_what_speaks_for_a_class_is_where_the_disc_is_and_the_channel_that_sees_it(studio, scene):
    places = actatlas.toolkit.spatial_attribution(studio, scene, LAYER, "disc")
    band = studio.network.pixels(scene)[BAND].numpy()
    is_disc = band.reshape(8, 4, 8, 4).mean(axis=(1, 3)) > 0.7
    assert places.values[is_disc].mean() > places.values[~is_disc].mean()
    assert (places.removal.highest[1:] > places.removal.random[1:]).all()
    channels = actatlas.toolkit.channel_attribution(studio, scene, LAYER, "disc", count=1)
    assert channels.channels[0] == 0 and channels.icons.shape[0] == 2 and channels.icons.shape[3] == 3
    assert abs(channels.unexplained) < 0.05 * abs(channels.difference)
    assert places.picture().size[0] == channels.picture().size[0] == 1080


def test_an_atlas_of_five_channels_is_a_ground_of_its_own(tmp_path):
    build = {"positions": 2, "grids": [2], "draft": True, "icon_px": 24, "progress": False}
    atlas = actatlas.build(Scenes(), out=tmp_path / "atlas", model=five(), layers=[LAYER], **build)
    atlas.source = Scenes()
    found = actatlas.toolkit.channel(atlas, LAYER, 0, count=1)
    assert "atlas's 24 photos" in found.told and brightest_band(found.pictures) == BAND
    assert found.answers[0] > 2 * found.scale.mean and found.patches[0].mode == "RGB"


def test_a_grey_network_is_painted_in_grey(drawn_photos):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    network = actatlas.load_network(module, Preprocessing((32, 32), 32, "bilinear", (0.5,), (0.25,), 1), ["a", "b"])
    grey = Studio(network, drawn_photos)
    found = actatlas.toolkit.channel(grey, LAYER, 1, count=1)
    assert found.pictures.shape[3] == 3 and (found.pictures[..., :1] == found.pictures).all()
    photo = sorted(drawn_photos.iterdir())[0]
    assert actatlas.toolkit.spatial_attribution(grey, photo, LAYER, "b").photo.mode == "RGB"


def test_from_the_shell_photos_come_from_a_plug_in_and_a_photo_is_an_array(tmp_path, monkeypatch, capsys, scene):
    site = tmp_path / "site"
    info = site / "band_zoo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: band-zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[actatlas.networks]\nbandzoo = band_zoo:load\n[actatlas.images]\nbandscenes = band_zoo:scenes\n"
    )
    (site / "band_zoo.py").write_text(ZOO)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setitem(sys.modules, "five_channels_test", sys.modules[__name__])
    monkeypatch.chdir(tmp_path)
    np.save("scene.npy", scene.values)
    on = ["--model", "bandzoo:five", "--photos", "bandscenes:discs", "--json"]

    def run(*arguments):
        code = cli.main(["visualize", *map(str, arguments), *on])
        return code, json.loads(capsys.readouterr().out)

    try:
        code, told = run("class", "--class", "disc", "--count", 1, "-o", "disc.png")
        assert code == 0 and told["pictures"][0]["top"][0]["class"] == "disc" and "24 photos" in told["photos"]
        asked = ("--layer", LAYER, "--class", "disc", "--photo")
        code, told = run("attribution", *asked, "scene.npy", "-o", "where.html")
        assert code == 0 and told["photo"] == "scene.npy" and (tmp_path / "where.html").is_file()
        Image.new("RGB", (40, 40)).save("three.png")
        for photo, said in (
            ("three.png", "it has 3 channels, the network takes 5; give it as an array (H, W, 5) of uint8"),
            ("none.npy", "no such file"),
            ("three.npy", "bands are (H, W, channels) uint8"),
        ):
            np.save("three.npy", np.zeros((4, 4)))
            code, told = run("attribution", *asked, photo)
            message = told["error"]["message"]
            assert code == 3 and photo in message and said in message and "\n" not in message
    finally:
        sys.modules.pop("band_zoo", None)


def test_photos_of_other_channels_are_refused_in_a_sentence(drawn_photos, scene):
    with pytest.raises(UsageError, match="takes 5 channels, and the photos that packages carry have three; give"):
        actatlas.toolkit.channel(five(), LAYER, 0)
    with pytest.raises(ValueError, match="it has 3 channels, the network takes 5"):
        actatlas.toolkit.channel(five(), LAYER, 0, photos=drawn_photos)
    module = nn.Sequential(nn.Conv2d(2, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    two = actatlas.load_network(module, Preprocessing((32, 32), 32, "bilinear", (0.5,) * 2, (0.25,) * 2, 2))
    with pytest.raises(NetworkError, match="takes 2 channels, and pictures of two cannot be painted"):
        Studio(two, Scenes())
    plain = actatlas.load_network(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
        Preprocessing((32, 32), 32), ["a", "b"],
    )  # fmt: skip
    with pytest.raises(UnreadableImage, match="it has 5 channels, the network takes 3"):
        Studio(plain, drawn_photos).see(scene)
