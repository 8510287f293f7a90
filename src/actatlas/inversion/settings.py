"""How icons are painted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actatlas.errors import UsageError

MOST_PX = 512


@dataclass(frozen=True)
class InversionSettings:
    """Part of the fingerprint: a change repaints the icons. The defaults' figures: decisions 0006, 0007.

    size_px: side of an icon in network input pixels, 8 to 512; see `side_px`
    steps: of the optimiser, one forward and backward pass each: of a picture that is painted from nothing, of those of
        the second round, the third …; the last number holds for all later rounds
    first_count: pictures in the first round, painted from nothing; later ones start from the most similar finished one
    repeats: steps of each further round over the first round's pictures, corrected by what these lacked before
    rate: the highest step, in standard deviations of the prior; it warms up and falls to a twentieth
    floor: the optimiser's own scale of a coefficient is its gradient's, plus this share of the whole picture's, so
        that frequencies which do not matter stay as they are; 0 is plain Adam
    brightness_exponent, colour_exponent: amplitudes fall as 1/frequency^exponent; 1 is harsh, 2 is calm
    surroundings: what the mean cosine over the whole map weighs beside the cosine at the centre, where the layer sees
        no more than the picture; times (picture's side / receptive field)² where it sees more. So early layers fill
        the picture with their texture, and late ones paint one thing
    likeness: weight of the squared distance between a picture and what photos with this activation look like
    look_every: of the layers over the depth, every so-manyth is part of a look; the deepest always is
    look_depth: looks reach to the layer itself, and at least so far into the network, as a share; the rest costs time
        alone
    emphasis: how many times as far from the usual look as such photos are on average; means are calmer than each of
        what they are means of
    correction: what all pictures of a round lack in common is added so many times to what those of later rounds aim at:
        in few steps a picture goes a part of the way
    contrast: weight of the log-probability that the answer is its own target's among the most similar ones
    mending_contrast: the same, in painting on those that are not told from the others; it counts double the second
        time, threefold the third …
    mistaken: share of the pictures whose answer may stay nearer to another's target: so few are not painted on
    learning_patches: how many patches of photos teach what photos with an activation look like; 0 does without
    shift_px: while painting, the picture is shifted by up to so many pixels each way, if that is no more than a quarter
        of the layer's stride
    enlarged: every second step sees the picture so many times as large, so that it answers at both scales, as what is
        in a photo does; 1 is never. See `enlarged_px`
    start: the starting picture's noise, in standard deviations of the prior
    batch_size: the most pictures that a processor paints at once, a GPU four times as many; part of the last bits
    """

    size_px: int = 80
    steps: tuple[int, ...] = (22, 13, 11, 9)
    first_count: int = 48
    repeats: tuple[int, ...] = (12, 8, 8)
    rate: float = 0.17
    floor: float = 0.3
    brightness_exponent: float = 1.5
    colour_exponent: float = 2.2
    surroundings: float = 4.0
    likeness: float = 10.0
    look_every: int = 1
    look_depth: float = 7 / 12
    emphasis: float = 2.5
    correction: float = 2.0
    contrast: float = 0.0
    mending_contrast: float = 0.12
    mistaken: float = 0.005
    learning_patches: int = 1024
    shift_px: int = 4
    enlarged: float = 1.0
    start: float = 0.01
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name, is_possible, allowed in (
            ("size_px", 8 <= self.size_px <= MOST_PX, f"from 8 to {MOST_PX}"),
            ("steps", len(self.steps) >= 1 and min(self.steps) >= 1, "numbers of at least 1"),
            ("repeats", min(self.repeats, default=1) >= 1, "numbers of at least 1"),
            ("first_count", self.first_count >= 1, "at least 1"),
            ("rate", self.rate > 0, "above 0"),
            ("floor", self.floor >= 0, "at least 0"),
            ("surroundings", self.surroundings >= 0, "at least 0"),
            ("likeness", self.likeness >= 0, "at least 0"),
            ("look_every", self.look_every >= 1, "at least 1"),
            ("look_depth", 0 <= self.look_depth <= 1, "from 0 to 1"),
            ("emphasis", self.emphasis >= 0, "at least 0"),
            ("correction", self.correction >= 0, "at least 0"),
            ("contrast", self.contrast >= 0, "at least 0"),
            ("mending_contrast", self.mending_contrast >= 0, "at least 0"),
            ("mistaken", 0 <= self.mistaken <= 1, "from 0 to 1"),
            ("learning_patches", self.learning_patches >= 0, "at least 0"),
            ("shift_px", self.shift_px >= 0, "at least 0"),
            ("enlarged", self.enlarged >= 1, "at least 1"),
            ("start", self.start > 0, "above 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
        ):
            if not is_possible:
                raise UsageError(f"icons: {name} must be {allowed}, not {getattr(self, name)}", setting=name)

    def as_draft(self) -> InversionSettings:
        """Less than half of the time: to look at a map before it is painted well. Early layers' icons are smaller."""
        return replace(
            self,
            size_px=min(self.size_px, 56),
            first_count=32,
            steps=(14, 5, 3),
            repeats=(4,),
            likeness=min(self.likeness, 4.0),
            look_every=2,
            look_depth=0.0,
            contrast=max(self.contrast, 0.03),
            mending_contrast=min(self.mending_contrast, 0.08),
            mistaken=max(self.mistaken, 0.02),
            shift_px=0,
            learning_patches=min(self.learning_patches, 512),
        )

    def to_be_named(self) -> InversionSettings:
        """For a few icons, each of which is to say what it is of; it takes more than three times as long.

        Steps count double, half of them see the picture enlarged, and only those are told from the others that would
        not be.
        """
        return replace(
            self,
            steps=tuple(2 * count for count in self.steps),
            repeats=tuple(2 * count for count in self.repeats),
            contrast=0.0,
            enlarged=5 / 3,
        )

    def steps_of_round(self, number: int) -> int:
        return self.steps[min(number, len(self.steps) - 1)]
