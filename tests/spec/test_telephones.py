"""Telephone numbers as spreadsheets leave them: what the person who calls sees, and what a link dials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.data.contract.telephones import dialled, telephones_in

CELLS = """
    in the list                       | shown                          | dialled
    07700 900123                      | 07700 900123                   | 07700900123
    7700900123                        | 07700900123                    | 07700900123
    7700900123.0                      | 07700900123                    | 07700900123
    7.700900123E+09                   | 07700900123                    | 07700900123
    7.7009E+09                        | 7.7009E+09                     | -
    1.51496E+09                       | 1.51496E+09                    | -
    1514960000                        | 01514960000                    | 01514960000
    447700900123                      | +447700900123                  | +447700900123
    4.47700900123E+11                 | +447700900123                  | +447700900123
    00447700900123                    | +447700900123                  | +447700900123
    +447700900123                     | +447700900123                  | +447700900123
    +44 7700 900123                   | +44 7700 900123                | +447700900123
    +44 (0)7700 900123                | +447700900123                  | +447700900123
    (0151) 496-0000                   | (0151) 496-0000                | 01514960000
    0800 1111                         | 0800 1111                      | 08001111
    496 0000                          | 496 0000                       | 4960000
    +33 1 70 18 99 00                 | +33 1 70 18 99 00              | +33170189900
    0151 496 0000 ext 12              | 0151 496 0000 ext 12           | -
    07700 900123 (daughter)           | 07700 900123 (daughter)        | -
    07700 900123 / 0151 496 0000      | 07700 900123, 0151 496 0000    | 07700900123, 01514960000
    7700900123;1514960000             | 07700900123, 01514960000       | 07700900123, 01514960000
    07700 900123 or 07700 900123      | 07700 900123                   | 07700900123
    No mobile                         |                                |
    n/k                               |                                |
    ex-directory                      |                                |
    0                                 |                                |
    99999999999                       |                                |
    00000 000000                      |                                |
"""


def table() -> list[tuple[str, str, str]]:
    _, *rows = ([cell.strip() for cell in line.split("|")] for line in CELLS.strip().splitlines())
    return [(row[0], row[1], row[2]) for row in rows]


@pytest.mark.parametrize(("cell", "shown", "link"), table(), ids=lambda cell: cell or "-")
def test_a_number_is_shown_and_dialled_as_the_table_says(cell: str, shown: str, link: str):
    numbers = telephones_in(cell)
    assert ", ".join(numbers) == shown
    assert ", ".join(dialled(number) or "-" for number in numbers) == link


@given(st.from_regex(r"0[1-35789][0-9]{9}", fullmatch=True).filter(lambda text: len(set(text[1:])) > 1))
def test_whatever_a_spreadsheet_does_with_all_digits_the_same_number_is_dialled(number: str):
    amount = int(number)
    changed = (str(amount), f"{amount}.0", f"{float(amount):.9e}", f"44{amount}", f"+44 (0){amount}")
    assert {
        (dialled(each) or "").removeprefix("+44").removeprefix("0") for text in changed for each in telephones_in(text)
    } == {str(amount)}


@given(st.text(max_size=40))
def test_of_any_text_no_digit_is_made_up(cell: str):
    shown = "".join(telephones_in(cell))
    digits = [character for character in shown if character.isdigit()]
    assert (
        len(digits) <= sum(character.isdigit() for character in cell) + len(telephones_in(cell)) or "e" in cell.lower()
    )


@given(cell=st.text(alphabet="0123456789 ", max_size=16))
def test_a_cell_with_one_usual_number_is_read_as_any_other(cell):
    # A tab at the end changes nothing about a cell, and takes it the long way.
    assert telephones_in(cell) == telephones_in(cell + "\t")
