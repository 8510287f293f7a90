"""Our own image sources hold the contract that plug-ins hold."""

import pytest

from actatlas.testing import ImageSourceContract


class TestPackagedPhotos(ImageSourceContract):
    def make(self):
        return "packaged:demo"


class TestFolder(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, drawn_photos):
        self.folder = drawn_photos

    def make(self):
        return self.folder
