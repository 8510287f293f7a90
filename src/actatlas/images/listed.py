"""What all our image sources share: photos that are listed once and read by their ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from PIL import Image

from actatlas.images.records import Records
from actatlas.values import ImageRecord


class ListedPhotos(ABC):
    """An ImageSource by its spec and its records."""

    spec: str
    _records: Records

    @property
    def records(self) -> Sequence[ImageRecord]:
        return self._records

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self._records.columns)

    def read(self, image_id: int) -> Image.Image:
        """The photo, upright, mode RGB. Raises UnreadableImage."""
        return self._photo(image_id, None)

    def read_reduced(self, image_id: int, wanted_px: int) -> Image.Image:
        """Like `read`, but a large JPEG comes at a half to an eighth of its size, no side under `wanted_px`."""
        return self._photo(image_id, wanted_px)

    def home_of(self, image_id: int) -> str:
        """The file, or what else is read as one, that the photo lies in: where two sources have it, it is the same."""
        return self._records.paths[image_id]

    @abstractmethod
    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image: ...

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<{len(self):,} images of {self.spec}>"
