"""Photos that well-kept packages carry: nothing is downloaded, and no photo is copied into ours."""

from __future__ import annotations

import os
from importlib.util import find_spec

from actatlas.errors import MissingExtra, NoImages
from actatlas.images.records import Entry

# Natural colour photos that lie in the wheels themselves (scikit-image fetches its others over the network).
_DEMO: dict[str, dict[str, str]] = {
    "skimage": {
        "data/astronaut.png": "astronaut",
        "data/chelsea.png": "cat",
        "data/coffee.png": "espresso",
        "data/motorcycle_left.png": "motorcycle",
        "data/rocket.jpg": "rocket",
    },
    "sklearn": {
        "datasets/images/china.jpg": "temple",
        "datasets/images/flower.jpg": "flower",
    },
    "foolbox": {
        "data/imagenet_00_243.jpg": "bull mastiff",
        "data/imagenet_01_559.jpg": "folding chair",
        "data/imagenet_02_438.jpg": "beaker",
        "data/imagenet_03_990.jpg": "buckeye",
        "data/imagenet_04_949.jpg": "strawberry",
        "data/imagenet_05_853.jpg": "thatch",
        "data/imagenet_06_609.jpg": "jeep",
        "data/imagenet_07_609.jpg": "jeep",
        "data/imagenet_08_915.jpg": "yurt",
        "data/imagenet_09_455.jpg": "bottlecap",
        "data/imagenet_10_541.jpg": "drum",
        "data/imagenet_11_630.jpg": "loafer",
        "data/imagenet_12_741.jpg": "prayer rug",
        "data/imagenet_13_471.jpg": "cannon",
        "data/imagenet_14_129.jpg": "spoonbill",
        "data/imagenet_15_99.jpg": "goose",
        "data/imagenet_16_251.jpg": "dalmatian",
        "data/imagenet_17_22.jpg": "bald eagle",
        "data/imagenet_18_317.jpg": "leafhopper",
        "data/imagenet_19_305.jpg": "dung beetle",
    },
}
_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn", "foolbox": "foolbox"}


def list_packaged(name: str) -> list[Entry]:
    """The photos of `packaged:name` with columns `label` and `package`; the first of each entry is the file.

    Raises NoImages for an unknown name, MissingExtra where a package is not installed.
    """
    if name != "demo":
        raise NoImages(
            f'"packaged:{name}" is not known; the packaged photos are packaged:demo', spec=f"packaged:{name}"
        )
    return [
        (os.path.join(_folder(module), *path.split("/")), {"label": label, "package": _PACKAGES[module]})
        for module, photos in _DEMO.items()
        for path, label in photos.items()
    ]


def _folder(module: str) -> str:
    found = find_spec(module)  # does not import it: these packages take seconds
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise MissingExtra(_PACKAGES[module], "photos", "packaged:demo")
    return places[0]
