"""Parts of a text message: the alphabet's edges, and never half a character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.segments import SmsAlphabet, plain_for_sms, sms_segments


@pytest.mark.parametrize(
    ("text", "alphabet", "units", "count"),
    [
        ("", SmsAlphabet.GSM_7, 0, 1),
        ("a" * 160, SmsAlphabet.GSM_7, 160, 1),
        ("a" * 161, SmsAlphabet.GSM_7, 161, 2),
        ("a" * 306, SmsAlphabet.GSM_7, 306, 2),
        ("a" * 307, SmsAlphabet.GSM_7, 307, 3),
        ("€" * 80, SmsAlphabet.GSM_7, 160, 1),
        ("a" * 152 + "€" + "a" * 10, SmsAlphabet.GSM_7, 164, 2),
        ("€" * 153, SmsAlphabet.GSM_7, 306, 3),  # 76 of them fill 152 of 153 places, and none is cut in two
        ("ع" * 70, SmsAlphabet.UCS_2, 70, 1),
        ("ع" * 71, SmsAlphabet.UCS_2, 71, 2),
        ("न" * 134, SmsAlphabet.UCS_2, 134, 2),
        ("😀" * 35, SmsAlphabet.UCS_2, 70, 1),
        ("😀" * 67, SmsAlphabet.UCS_2, 134, 3),
    ],
)
def test_a_text_takes_so_many_parts(text: str, alphabet: SmsAlphabet, units: int, count: int) -> None:
    found = sms_segments(text)
    assert (found.alphabet, found.units, found.count) == (alphabet, units, count)


def test_typography_goes_where_that_saves_half_and_stays_where_it_does_not() -> None:
    assert plain_for_sms("It’s 10:30\u202fAM – “soon”…") == 'It\'s 10:30 AM - "soon"...'
    assert plain_for_sms("ستعود ’10:30’") == "ستعود ’10:30’"


@given(st.text(max_size=700))
def test_parts_hold_all_of_it_and_no_more_than_needed(text: str) -> None:
    found = sms_segments(text)
    room = {SmsAlphabet.GSM_7: (160, 153), SmsAlphabet.UCS_2: (70, 67)}[found.alphabet]
    assert found.units <= (room[0] if found.count == 1 else room[1] * found.count)
    assert found.count == 1 or found.units > room[0]
    assert found.units >= (found.count - 1) * (room[1] - 1)
