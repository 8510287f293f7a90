"""What of an atlas its page shows."""

from __future__ import annotations

from dataclasses import dataclass

from actatlas.values import Examples

# The longer side, in pixels, of the photos that ship; None where none do.
LONGEST_PX: dict[Examples, int | None] = {"none": None, "patches": None, "thumbs": 256, "originals": 1024}


@dataclass(frozen=True)
class SiteSettings:
    """examples: what is shown of photos. "none": nothing that was made of their pixels but icons; "patches": small real
    patches; "thumbs" and "originals": these, and each photo that a patch is of, with a longer side of 256 or 1,024 px
    """

    examples: Examples = "patches"

    @property
    def longest_px(self) -> int | None:
        return LONGEST_PX[self.examples]
