"""What is random is a function of the seed and the item, and lands where it should."""

import numpy as np
import pytest

from actatlas.collect.sampling import MIN_CROP_SIDE, crop_box, inner_positions, map_index, photo_order
from actatlas.collect.settings import CollectSettings
from actatlas.errors import UsageError

NESTED = [(112, 112), (56, 56), (14, 14), (7, 7)]
ODD = [(55, 27), (27, 13), (13, 6), (6, 3)]


def test_the_order_is_a_permutation_that_only_the_seed_changes():
    order = photo_order(1000, seed=3)
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert np.array_equal(order, photo_order(1000, seed=3))
    assert (order == photo_order(1000, seed=4)).mean() < 0.01
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.1


@pytest.mark.parametrize("sizes", [NESTED, ODD, [(14, 14), (1, 1)], [(3, 3), (224, 224)]])
def test_positions_are_inner_in_every_map(sizes):
    for image_id in range(300):
        positions = inner_positions(sizes, 3, seed=0, image_id=image_id, crop=0)
        assert positions.dtype == np.float32 and positions.min() >= 0 and positions.max() < 1
        for size in sizes:
            index = map_index(positions, size)
            for axis, extent in enumerate(size):
                low, high = (1, extent - 2) if extent >= 3 else (0, extent - 1)
                assert index[:, axis].min() >= low and index[:, axis].max() <= high


@pytest.mark.parametrize("sizes", [NESTED, ODD])
def test_the_index_is_the_same_in_float32_and_float64(sizes):
    positions = np.concatenate([inner_positions(sizes, 4, 0, image_id, 0) for image_id in range(500)])
    for size in sizes:
        single = np.floor(positions * np.float32(size)).astype(np.int64)
        assert np.array_equal(single, map_index(positions, size))


def test_one_position_names_the_same_place_in_every_layer():
    positions = np.concatenate([inner_positions(NESTED, 4, 0, image_id, 0) for image_id in range(100)])
    coarse = map_index(positions, (7, 7))
    for size in NESTED:
        assert np.array_equal(map_index(positions, size) * 7 // size[0], coarse)


def test_positions_of_one_crop_are_distinct_while_there_are_cells_and_cover_them_evenly():
    cells = map_index(inner_positions(NESTED, 25, 0, image_id=5, crop=0), (7, 7))
    assert len({tuple(cell) for cell in cells}) == 25
    twice = map_index(inner_positions(NESTED, 50, 0, image_id=5, crop=0), (7, 7))
    assert all(count == 2 for count in np.unique(twice, axis=0, return_counts=True)[1])
    first = np.concatenate([map_index(inner_positions(NESTED, 1, 0, i, 0), (7, 7)) for i in range(2500)])
    counts = np.unique(first, axis=0, return_counts=True)[1]
    assert len(counts) == 25 and counts.min() > 60 and counts.max() < 140


def test_positions_depend_on_seed_photo_and_crop_and_nothing_else():
    first = inner_positions(NESTED, 2, 0, 1, 0)
    assert np.array_equal(first, inner_positions(list(reversed(NESTED)), 2, 0, 1, 0))
    for other in ((1, 1, 0), (0, 2, 0), (0, 1, 1)):
        assert not np.array_equal(first, inner_positions(NESTED, 2, *other))


def test_vector_layers_alone_have_one_place():
    assert np.array_equal(map_index(inner_positions([(1, 1)], 2, 0, 0, 0), (1, 1)), np.zeros((2, 2)))


@pytest.mark.parametrize("photo_size", [(400, 300), (300, 400), (5000, 10), (1, 1)])
@pytest.mark.parametrize("input_px", [(224, 224), (100, 200)])
def test_crops_lie_inside_the_photo_and_keep_the_inputs_aspect(photo_size, input_px):
    boxes = np.array([crop_box(photo_size, input_px, 0, image_id, 0) for image_id in range(400)])
    assert boxes.min() >= 0 and boxes.max() <= 1
    assert np.array_equal(boxes, boxes.astype(np.float32))
    width, height = (boxes[:, 2:] - boxes[:, :2]).T * np.array(photo_size)[:, None]
    assert np.allclose(width / height, input_px[1] / input_px[0], rtol=1e-2)
    largest = min(photo_size[0] / input_px[1], photo_size[1] / input_px[0])
    side = width / input_px[1] / largest
    assert side.min() >= MIN_CROP_SIDE - 1e-3 and side.max() <= 1 + 1e-3
    assert side.min() < 0.4 and side.max() > 0.97 and abs((side**2).mean() - (1 + MIN_CROP_SIDE**2) / 2) < 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        {"crops": -1},
        {"positions": 0},
        {"batch_size": 0},
        {"shard_images": 0},
        {"attribution": "luck"},
        {"precision": "int8"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))) as caught:
        CollectSettings(**wrong)
    assert caught.value.exit_code == 2
