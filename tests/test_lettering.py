"""Words and numbers on pictures."""

from __future__ import annotations

import pytest

from actatlas.lettering import percent


@pytest.mark.parametrize(
    ("share", "sign", "told"),
    [
        (0.254, "", "25%"),
        (0.1, "", "10%"),
        (0.0996, "", "10%"),
        (0.034, "", "3.4%"),
        (0.0049, "", "0.5%"),
        (0.0002, "", "0%"),
        (-0.0002, "+", "0%"),
        (-0.139, "+", "-14%"),
        (0.004, "+", "+0.4%"),
        (0, "+", "0%"),
    ],
)
def test_small_shares_have_a_digit_more_and_what_rounds_to_nothing_has_no_sign(share, sign, told):
    assert percent(share, sign) == told
