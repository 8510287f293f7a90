"""Which class is meant, and what is said where none is, or several could be."""

import pytest

from actatlas.atlas import ClassNames
from actatlas.errors import UnknownClass, UsageError

NAMES = ClassNames(
    ["tench", "red fox", "grey fox", "foxglove", "head cabbage", "crane bird", "crane"],
    [
        ["n01440764", "Tinca tinca"], ["n02119022", "Vulpes vulpes"], ["n02120505", "gray fox", "Reynard"], ["n1"],
        ["n07714571"], ["n02012849", "crane"], ["n03126707"],
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("tench", 0), ("Red_Fox", 1), ("  red   fox ", 1), ("vulpes vulpes", 1), ("n02119022", 1), ("Vulpes", 1),
        ("gray fox", 2), ("reynard", 2), ("cabbage", 4), ("4", 4), (4, 4), ("crane", 6), ("bird", 5), ("glove", 3),
    ],
)  # fmt: skip
def test_a_class_is_found_by_name_part_synonym_id_and_index(query, index):
    assert NAMES.find(query) == index


def test_a_name_that_fits_several_lists_them():
    with pytest.raises(UnknownClass, match=r"red fox \(1\), grey fox \(2\)") as told:
        NAMES.find("fox")
    assert "foxglove" not in str(told.value), "a whole word goes before a part of one"


def test_an_unknown_name_tells_the_nearest():
    with pytest.raises(UnknownClass, match=r"no class is called \"tensh\"; nearest: tench \(0\)"):
        NAMES.find("tensh")
    with pytest.raises(UsageError, match='no class is called "zzz"$'):
        NAMES.find("zzz")
    with pytest.raises(UnknownClass):
        NAMES.find("  ")


@pytest.mark.parametrize("query", [7, "7", "-1", 1000])
def test_an_index_out_of_range_tells_the_range(query):
    with pytest.raises(UnknownClass, match="7, 0 to 6"):
        NAMES.find(query)


def test_classes_without_names_are_found_by_index():
    assert ClassNames(["class 0", "class 1"]).find("class 1") == 1


def test_a_label_means_a_class_by_a_whole_name():
    assert NAMES.means("Red fox", 1) and NAMES.means("n02119022", 1)
    assert not NAMES.means("fox", 1) and not NAMES.means("red fox", 2)
