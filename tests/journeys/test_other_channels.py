"""Grey networks, networks of many channels and of 32 px build atlases as any other does."""

import gc

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import actatlas
from actatlas import Preprocessing
from actatlas.bands import Bands, false_colours
from actatlas.errors import NetworkError, NoImages
from actatlas.values import ImageRecord

BUILD = {"positions": 4, "grids": [3], "draft": True, "progress": False}


def tower(channel_count: int, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channel_count, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes),
    )  # fmt: skip


def network_of(channel_count: int):
    mean, std = (0.5,) * channel_count, (0.25,) * channel_count
    plain = Preprocessing((32, 32), 32, "bilinear", mean, std, channel_count)
    return actatlas.load_network(tower(channel_count), plain, ["a", "b", "c"])


class Satellite:
    """Drawn photos of five bands; the fourth alone says where the disc is."""

    spec, column_names = "drawn bands", ()

    def __init__(self, count: int = 12, bands: int = 5):
        self.records = [ImageRecord(i, f"scene {i}") for i in range(count)]
        self._bands = bands

    def read(self, image_id):
        rng = np.random.default_rng(image_id)
        values = rng.integers(60, 120, (48, 64, self._bands), np.uint8)
        rows, columns = np.mgrid[:48, :64]
        inside = np.hypot(rows - 24, columns - 16 - 3 * image_id) < 12
        values[inside, min(3, self._bands - 1)] = 250
        return Bands(values)


def check(atlas, channel_count: int, identified: int = 3) -> None:
    layer = atlas.layer(atlas.layer_names[0])
    grid = layer.grid(3)
    side = layer.icon_px
    assert len(grid) >= 4 and grid.icons.shape == (len(grid), side, side, 3)
    assert grid.raw_icons.shape == (len(grid), side, side, max(channel_count, 3))
    assert grid.attributions.shape == (len(grid), 3) and np.abs(grid.attributions).max() > 0
    measured = actatlas.measure_icons(atlas.network, layer, grid.raw_icons)
    wanted, found = grid.means - layer.mean, measured - layer.mean
    cosine = (wanted * found).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(found, axis=1)
    assert np.allclose(cosine, grid.cosine, atol=0.02)
    assert cosine.mean() > 0.2 and (grid.rank == 0).sum() >= identified  # by chance one of all
    assert all(isinstance(patch, Image.Image) and patch.mode in ("RGB", "L") for patch in grid.examples(0, 2))
    assert (atlas.folder / "site" / "index.html").is_file()


def test_a_grey_network(drawn_photos, tmp_path):
    atlas = actatlas.build(drawn_photos, out=tmp_path / "atlas", model=network_of(1), layers=["3"], **BUILD)
    check(atlas, 1)
    icons = atlas.layer("3").grid(3).icons
    assert (icons[..., 0] == icons[..., 1]).all() and (icons[..., 1] == icons[..., 2]).all() and icons.std() > 5


def test_a_network_of_32_px(drawn_photos, tmp_path):
    atlas = actatlas.build(drawn_photos, out=tmp_path / "atlas", model=network_of(3), layers=["3"], **BUILD)
    check(atlas, 3)


def test_a_network_of_five_channels(tmp_path):
    # Of noise, in which only a disc differs, a draft tells too little.
    whole = BUILD | {"draft": False}
    atlas = actatlas.build(Satellite(24), out=tmp_path / "atlas", model=network_of(5), layers=["3"], **whole)
    gc.collect()  # the atlas holds its photos, though nobody else does
    check(atlas, 5, identified=6)
    grid = atlas.layer("3").grid(3)
    assert np.array_equal(grid.icons, false_colours(grid.raw_icons))
    apart = np.abs(grid.raw_icons[..., 3].astype(float) - grid.raw_icons[..., 0]).mean()
    assert apart > 10  # the bands are painted each on its own


def test_five_channels_of_timm_are_those_that_in_chans_says(tmp_path):
    network = actatlas.load_network("timm:test_resnet?pretrained=false&in_chans=5&num_classes=3&input_px=32")
    layer = next(layer.name for layer in network.layers if layer.recommended)
    atlas = actatlas.build(Satellite(), out=tmp_path / "atlas", model=network, layers=[layer], **BUILD)
    assert atlas.layer(layer).grid(3).raw_icons.shape[-1] == 5


def test_photos_of_other_channels_are_refused_with_what_to_give(drawn_photos, tmp_path):
    with pytest.raises(NoImages, match="it has 3 channels, the network takes 5") as five:
        actatlas.build(drawn_photos, out=tmp_path / "atlas", model=network_of(5), layers=["3"], **BUILD)
    assert "photos of 5 channels as actatlas.bands.Bands" in str(five.value) and "docs/plugins.md" in str(five.value)
    assert "JPEG" not in str(five.value), "no JPEG has five channels"
    with pytest.raises(NoImages, match="it has 5 channels, the network takes 3") as three:
        actatlas.build(Satellite(), out=tmp_path / "other", model=network_of(3), layers=["3"], **BUILD)
    assert "in_chans=N" in str(three.value) and "JPEG" not in str(three.value)
    with pytest.raises(NoImages, match="it has 3 channels, the network takes 5.*docs/plugins.md"):
        actatlas.toolkit.channel(network_of(5), "3", 0, photos=drawn_photos)


def test_files_that_are_no_photos_are_told_which_to_give(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"no photo")
    with pytest.raises(NoImages, match="none of the 3 images of .*; give photos as JPEG, PNG"):
        actatlas.build(tmp_path, out=tmp_path / "atlas", model=network_of(3), layers=["3"], **BUILD)


def test_two_channels_are_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(NetworkError, match="takes 2 channels"):
        actatlas.build(Satellite(bands=2), out=tmp_path / "atlas", model=network_of(2), layers=["3"], **BUILD)
    assert not (tmp_path / "atlas").exists()


@pytest.mark.parametrize("values", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 5)), np.zeros((4, 0, 5), np.uint8)])
def test_bands_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="bands are"):
        Bands(values)
