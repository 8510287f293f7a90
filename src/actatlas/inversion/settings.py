"""How icons are painted."""

from __future__ import annotations

from dataclasses import dataclass

from actatlas.errors import UsageError


@dataclass(frozen=True)
class InversionSettings:
    """Part of the fingerprint: a change repaints the icons. Decision 0004 has the figures behind the defaults.

    size_px: side of an icon in network input pixels; never more than the network's input
    steps: of the optimiser, one forward and backward pass of the part before the layer each
    rate: the highest step, in standard deviations of the prior; it warms up and falls to a twentieth
    floor: the optimiser's own scale of a coefficient is its gradient's, plus this share of the whole picture's, so
        that frequencies which do not matter stay as they are; 0 is plain Adam
    brightness_exponent, colour_exponent: amplitudes fall as 1/frequency^exponent; 1 is harsh, 2 is calm
    surroundings: what the mean cosine over the whole map weighs beside the cosine at the centre, where the layer sees
        no more than the picture; times (picture's side / receptive field)² where it sees more. So early layers fill
        the picture with their texture, and late ones paint one thing
    shift_px: while painting, the picture is shifted by up to so many pixels each way, and at most a quarter of the
        layer's stride
    start: the starting picture's noise, in standard deviations of the prior
    batch_size: pictures painted at once; part of the result's last bits
    """

    size_px: int = 80
    steps: int = 48
    rate: float = 0.16
    floor: float = 0.3
    brightness_exponent: float = 1.2
    colour_exponent: float = 1.7
    surroundings: float = 4.0
    shift_px: int = 4
    start: float = 0.01
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name, is_possible, allowed in (
            ("size_px", self.size_px >= 8, "at least 8"),
            ("steps", self.steps >= 1, "at least 1"),
            ("rate", self.rate > 0, "above 0"),
            ("floor", self.floor >= 0, "at least 0"),
            ("surroundings", self.surroundings >= 0, "at least 0"),
            ("shift_px", self.shift_px >= 0, "at least 0"),
            ("start", self.start > 0, "above 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
        ):
            if not is_possible:
                raise UsageError(f"icons: {name} must be {allowed}, not {getattr(self, name)}", setting=name)
