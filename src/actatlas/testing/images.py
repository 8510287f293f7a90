"""What every image source promises, as tests: inherit, say how to make one, run pytest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from actatlas.bands import Bands
from actatlas.errors import UnreadableImage
from actatlas.images import ImagesSpec, open_source
from actatlas.values import ImageSource

MOST_READ = 24


class ImageSourceContract:
    """`make` gives an image source, or what `open_source` takes: "mystore:holiday"."""

    def make(self) -> ImagesSpec:
        raise NotImplementedError("a contract's test gives its source: def make(self)")

    def test_ids_are_the_places_in_the_listing(self) -> None:
        source = open_source(self.make())
        assert len(source.records) > 0
        assert [record.id for record in source.records] == list(range(len(source.records)))
        assert all(isinstance(record.path, str) and record.path for record in source.records)

    def test_every_record_has_the_columns_that_the_source_names(self) -> None:
        source = open_source(self.make())
        for record in source.records:
            assert set(record.columns) == set(source.column_names), record
            assert all(isinstance(value, str) for value in record.columns.values()), record

    def test_the_listing_is_the_same_each_time(self) -> None:
        assert _listing(open_source(self.make())) == _listing(open_source(self.make()))

    def test_its_spec_leads_to_it_again(self) -> None:
        """A build that continues, and an atlas that shows its photos, open the source by its spec."""
        source = open_source(self.make())
        assert isinstance(source.spec, str) and source.spec
        if not all(record.path.startswith("/") or record.path[1:3] == ":\\" for record in source.records):
            assert _listing(open_source(source.spec)) == _listing(source)

    def test_a_photo_is_an_rgb_image_or_says_why_it_is_not(self) -> None:
        source = open_source(self.make())
        readable = 0
        for record in source.records[:MOST_READ]:
            try:
                photo = source.read(record.id)
            except UnreadableImage as error:
                assert error.reason and "\n" not in error.reason, error
                continue
            is_rgb = isinstance(photo, Image.Image) and photo.mode == "RGB"
            assert (is_rgb or isinstance(photo, Bands)) and min(photo.size) > 0, record
            readable += 1
        assert readable > 0, "none of the first photos can be read"

    def test_a_photo_is_the_same_each_time_and_from_any_thread(self) -> None:
        source = open_source(self.make())
        ids = [record.id for record in source.records[:MOST_READ]]
        one_by_one = [_pixels(source, image_id) for image_id in ids]
        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(lambda image_id: _pixels(source, image_id), ids[::-1]))[::-1]
        for image_id, one, other in zip(ids, one_by_one, at_once, strict=True):
            assert np.array_equal(one, other), f"photo {image_id} differs when photos are read by several threads"


def _listing(source: ImageSource) -> list[tuple[int, str, dict[str, str]]]:
    return [(record.id, record.path, dict(record.columns)) for record in source.records]


def _pixels(source: ImageSource, image_id: int) -> np.ndarray:
    try:
        return np.asarray(source.read(image_id))
    except UnreadableImage:
        return np.zeros(0)
