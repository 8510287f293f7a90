"""Every listed photo is used or skipped, and a shard depends only on its own photos, the seed and the network."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from actatlas.collect import Collector, CollectSettings, map_index, run_pilot
from actatlas.errors import NoImages, UnreadableImage
from actatlas.images import open_source
from actatlas.networks import Network, load_network
from actatlas.preprocessing import Preprocessing
from actatlas.progress import Silent

LAYERS = ["early", "late"]
PREPROCESSING = Preprocessing(input_px=(48, 48), resize_px=48, mean=(0.5,) * 3, std=(0.5,) * 3)


class Small(nn.Module):
    """Two convolutions, a map of 24 × 24 and one of 6 × 6, seven classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.early = nn.ReLU()
        self.body = nn.Conv2d(8, 16, 5, stride=4, padding=2)
        self.late = nn.ReLU()
        self.head = nn.Linear(16, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.late(self.body(self.early(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def small() -> Network:
    torch.manual_seed(0)
    return load_network(Small(), preprocessing=PREPROCESSING, labels=[f"class {i}" for i in range(7)])


@pytest.fixture
def folder(drawn_photos, tmp_path) -> Path:
    return Path(shutil.copytree(drawn_photos, tmp_path / "photos"))


def settings(**changes) -> CollectSettings:
    return CollectSettings(**({"positions": 2, "shard_images": 10, "batch_size": 4, "precision": "float32"} | changes))


def collect(network, folder, wanted: CollectSettings, missing=None, pilot=None) -> dict:
    source = open_source(folder)
    pilot = pilot or run_pilot(network, source, LAYERS, wanted, Silent())
    return dict(Collector(network, source, LAYERS, wanted, pilot).shards(missing))


def assert_same(one, other, layers=LAYERS) -> None:
    for layer in layers:
        for name in ("vectors", "image_ids", "positions", "boxes", "attributions"):
            assert np.array_equal(getattr(one.activations[layer], name), getattr(other.activations[layer], name)), name
    for name in ("crop_image_ids", "boxes", "classes", "logits"):
        assert np.array_equal(getattr(one.predictions, name), getattr(other.predictions, name)), name
    assert one.skipped == other.skipped


def test_listed_photos_are_used_or_skipped_with_a_reason(small, folder):
    (folder / "03.png").write_bytes(b"")
    (folder / "04.jpg").write_bytes((folder / "04.jpg").read_bytes()[:2000])
    (folder / "05.jpg").write_text("hello")
    shards = collect(small, folder, settings())
    used = {int(i) for shard in shards.values() for i in shard.activations["late"].image_ids}
    skipped = {i: reason for shard in shards.values() for i, reason in shard.skipped.items()}
    assert used | set(skipped) == set(range(24)) and not used & set(skipped)
    assert {i: reason.split(":")[0] for i, reason in skipped.items()} == {
        3: "the file is empty", 4: "truncated", 5: "not a JPEG, PNG, WebP, BMP, GIF or TIFF image",
    }  # fmt: skip
    predicted = {int(i) for shard in shards.values() for i in shard.predictions.crop_image_ids}
    assert predicted == used


def test_good_photos_give_the_same_bits_when_others_turn_bad(small, folder):
    wanted = settings(crops=2)
    pilot = run_pilot(small, open_source(folder), LAYERS, wanted, Silent())
    before = collect(small, folder, wanted, pilot=pilot)
    for name in ("01.jpg", "02.jpg", "15.png"):
        (folder / name).write_bytes(b"broken")
    after = collect(small, folder, wanted, pilot=pilot)
    for index, shard in after.items():
        for layer in LAYERS:
            whole, part = before[index].activations[layer], shard.activations[layer]
            kept = ~np.isin(whole.image_ids, [1, 2, 15])
            for name in ("vectors", "image_ids", "positions", "boxes", "attributions"):
                assert np.array_equal(getattr(whole, name)[kept], getattr(part, name))
    assert sum(len(shard.skipped) for shard in after.values()) == 3


def test_shards_are_the_same_in_any_order_and_in_any_run(small, folder):
    wanted = settings()
    forward = collect(small, folder, wanted)
    backward = collect(small, folder, wanted, missing=[2, 0])
    assert list(backward) == [2, 0] and list(forward) == [0, 1, 2]
    for index, shard in backward.items():
        assert_same(shard, forward[index])


def test_rows_are_the_networks_output_at_their_position(small, folder):
    shards = collect(small, folder, settings(crops=0, positions=3))
    source = open_source(folder)
    checked = 0
    for shard in shards.values():
        for layer in LAYERS:
            part = shard.activations[layer]
            assert np.array_equal(part.positions, shard.activations["late"].positions)
            for row in range(0, len(part), 5):
                photo = source.read(int(part.image_ids[row]))
                with torch.no_grad():
                    maps = small.activations(small.normalize(small.pixels(photo)[None]), [layer])[layer]
                r, c = map_index(part.positions[row : row + 1], tuple(maps.shape[2:]))[0]
                assert np.allclose(part.vectors[row], maps[0, :, r, c], atol=2e-3)
                assert 1 <= r <= maps.shape[2] - 2 and 1 <= c <= maps.shape[3] - 2
                checked += 1
    assert checked > 20


def test_crops_keep_their_photos_id_and_show_what_their_box_says(small, folder):
    shards = collect(small, folder, settings(crops=3, positions=2))
    part = shards[0].activations["early"]
    assert len(part) == 10 * 3 * 2
    ids = part.image_ids.reshape(10, 6)
    assert (ids == ids[:, :1]).all() and len(np.unique(ids)) == 10
    assert len(np.unique(part.boxes, axis=0)) == 30
    photo = open_source(folder).read(int(part.image_ids[8]))
    crop = PREPROCESSING.crop(photo, tuple(float(edge) for edge in part.boxes[8]))
    pixels = torch.from_numpy(np.array(crop)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        maps = small.activations(small.normalize(pixels), ["early"])["early"]
    r, c = map_index(part.positions[8:9], tuple(maps.shape[2:]))[0]
    assert np.allclose(part.vectors[8], maps[0, :, r, c], atol=2e-3)
    other = map_index(part.positions[6:7], tuple(maps.shape[2:]))[0]
    assert not np.allclose(part.vectors[8], maps[0, :, other[0], other[1]], atol=2e-3), (
        "the control: another place differs"
    )


def test_predictions_are_the_five_highest_logits(small, folder):
    shards = collect(small, folder, settings())
    found = shards[0].predictions
    photo = open_source(folder).read(int(found.crop_image_ids[3]))
    with torch.no_grad():
        logits = small.module(small.normalize(small.pixels(photo)[None]))[0]
    assert found.classes.dtype == np.int32 and found.classes.shape == (10, 5)
    assert np.array_equal(found.classes[3], logits.argsort(descending=True)[:5])
    assert np.allclose(found.logits[3], logits.sort(descending=True).values[:5], atol=1e-5)


def test_without_logits_the_pass_stops_at_the_last_layer_and_gives_the_same_vectors(small, folder):
    reached = []
    hook = small.module.head.register_forward_hook(lambda *_: reached.append(1))
    try:
        wanted = settings(attribution=None, predictions=False)
        pilot = run_pilot(small, open_source(folder), LAYERS, wanted, Silent())
        collector = Collector(small, open_source(folder), LAYERS, wanted, pilot)
        reached.clear()
        short = [shard for _, shard in collector.shards()]
        assert not reached
        whole = collect(small, folder, settings(attribution=None), pilot=pilot)
        assert reached, "the control: with predictions the head is called"
    finally:
        hook.remove()
    assert short[0].predictions is None and short[0].activations["late"].attributions is None
    assert whole[0].predictions is not None
    for layer in LAYERS:
        assert np.array_equal(short[0].activations[layer].vectors, whole[0].activations[layer].vectors)


def test_a_photo_with_numbers_that_are_not_finite_is_skipped_and_large_ones_are_clipped(folder):
    class Explodes(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.where(x.mean(dim=(1, 2, 3), keepdim=True) > 0.9, x * float("inf"), x * 1e6))

    torch.manual_seed(0)
    network = load_network(Explodes(), preprocessing=PREPROCESSING)
    Image.new("RGB", (60, 60), "white").save(folder / "07.jpg")
    wanted = settings(attribution=None)
    shards = collect(network, folder, wanted)
    skipped = {i: reason for shard in shards.values() for i, reason in shard.skipped.items()}
    assert list(skipped) == [7] and 'layer "early" that are not finite' in skipped[7]
    vectors = np.concatenate([shard.activations["early"].vectors for shard in shards.values()])
    assert len(vectors) == 23 * 2 and np.isfinite(vectors).all() and vectors.max() == np.finfo(np.float16).max


def test_a_shard_of_bad_photos_only_is_empty_and_the_others_are_not(small, folder):
    wanted = settings(shard_images=4)
    source = open_source(folder)
    pilot = run_pilot(small, source, LAYERS, wanted, Silent())
    for image_id in Collector(small, source, LAYERS, wanted, pilot).image_ids(1):
        Path(source.records[image_id].path).write_bytes(b"")
    shards = collect(small, folder, wanted, pilot=pilot)
    assert [len(shards[i].activations["late"]) for i in range(6)] == [8, 0, 8, 8, 8, 8]
    assert shards[1].activations["late"].vectors.shape == (0, 16) and len(shards[1].skipped) == 4


def test_no_readable_photo_at_all_is_one_clear_error(small, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(NoImages, match=r"none of the 3 images .* \(first reason: the file is empty\)"):
        run_pilot(small, open_source(tmp_path), LAYERS, settings(), Silent())


def test_an_unfinished_iteration_leaves_no_thread_behind(small, folder):
    wanted = settings(shard_images=4)
    source = open_source(folder)
    pilot = run_pilot(small, source, LAYERS, wanted, Silent())
    shards = Collector(small, source, LAYERS, wanted, pilot).shards()
    next(shards)
    assert any(thread.name.startswith("actatlas-decode") for thread in threading.enumerate())
    shards.close()
    assert not any(thread.name.startswith("actatlas-decode") for thread in threading.enumerate())


def test_a_source_of_ones_own_needs_only_records_and_read(small, folder):
    files = open_source(folder)

    class Own:
        spec, column_names, records = "my own", (), files.records

        def read(self, image_id: int) -> Image.Image:
            if image_id == 2:
                raise UnreadableImage("lost")
            return files.read(image_id)

    wanted = settings()
    pilot = run_pilot(small, Own(), LAYERS, wanted, Silent())
    shards = dict(Collector(small, Own(), LAYERS, wanted, pilot).shards())
    assert {i: r for shard in shards.values() for i, r in shard.skipped.items()} == {2: "lost"}
    assert sum(len(shard.activations["late"]) for shard in shards.values()) == 23 * 2


def test_good_photos_give_the_same_bits_beside_bad_ones(small, folder):
    wanted = settings(shard_images=64, positions=1)
    pilot = run_pilot(small, open_source(folder), LAYERS, wanted, Silent())
    alone = collect(small, folder, wanted, pilot=pilot)[0].activations
    for number in range(24, 30):
        (folder / f"{number}.jpg").write_bytes(b"broken")
    beside = collect(small, folder, wanted, pilot=pilot)[0].activations
    for layer in LAYERS:
        orders = [np.argsort(part[layer].image_ids, kind="stable") for part in (alone, beside)]
        for name in ("vectors", "image_ids", "positions", "boxes"):
            one, other = (getattr(part[layer], name)[o] for part, o in zip((alone, beside), orders, strict=True))
            assert np.array_equal(one, other), name


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_every_batch_has_the_size_that_was_asked_for(small, folder, count):
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()
    sizes = []
    source, wanted = open_source(folder), settings(attribution="gradient")
    pilot = run_pilot(small, source, LAYERS, wanted, Silent())
    collector = Collector(small, source, LAYERS, wanted, pilot)
    activations, record = collector._network.activations, collector._network.record

    class Watched:
        def __getattr__(self, name):
            return getattr(network, name)

        def record(self, batch, *rest, **named):
            sizes.append(len(batch))
            return record(batch, *rest, **named)

        def activations(self, batch, *rest):
            sizes.append(len(batch))
            return activations(batch, *rest)

    network, collector._network = collector._network, Watched()
    (shard,) = dict(collector.shards()).values()
    assert sizes == [4] * -(-count // 4) and len(shard.activations["late"]) == 2 * count
