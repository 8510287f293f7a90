"""One atlas's studio, and one of a network with photos alone, for all tests: what they learn they learn once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import actatlas

if TYPE_CHECKING:
    from actatlas.networks import Network
    from actatlas.toolkit import Studio


@pytest.fixture(scope="session")
def atlas_studio(small_atlas: Path, network: Network) -> Studio:
    atlas = actatlas.open(small_atlas)
    atlas.network = network
    return actatlas.toolkit.Studio(atlas)


@pytest.fixture(scope="session")
def photo_studio(network: Network) -> Studio:
    """Of real photos, so that the network has something to say."""
    return actatlas.toolkit.Studio(network, "packaged:demo")


@pytest.fixture(scope="session", autouse=True)
def is_quick() -> Iterator[None]:
    """Fewer inputs and steps than people have: enough to tell right from wrong."""
    from actatlas.toolkit import painting, photos

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "MOST_INPUTS", 27)
        patch.setattr(painting, "FIRST_STEPS", 14)
        patch.setattr(painting, "THEN_STEPS", 26)
        yield
