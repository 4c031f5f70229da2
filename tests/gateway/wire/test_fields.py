"""Fields: values become text and text becomes values, exactly or not at all."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.gateway.wire.fields import (
    EscapedText,
    FieldError,
    FieldReader,
    Value,
    decode_fields,
    encode_fields,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "1"),
        (False, "0"),
        (17, "17"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (1e-05, "0.00001"),
        (0.1, "0.1"),
        ("né", "né"),
        ("a\0b", "a b"),
        (EscapedText("né \\ 漢"), "n\\xe9 \\\\ \\u6f22"),
    ],
)
def test_how_values_are_written(value: Value, text: str) -> None:
    assert encode_fields((value,)) == text.encode() + b"\0"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_texts_come_back(texts: list[str]) -> None:
    assert decode_fields(encode_fields(texts)) == texts


def test_bytes_that_are_no_text_are_kept_readable() -> None:
    assert decode_fields(b"\xff\0ok\0") == ["\\xff", "ok"]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=8))
def test_numbers_come_back(number: Decimal) -> None:
    assert FieldReader(decode_fields(encode_fields((number,)))).number() == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2147483647",
        "9223372036854775807",
        "1.7976931348623157e+308",
        "1.7976931348623157E308",
        "Infinite",
    ],
)
def test_numbers_that_are_not_there(text: str) -> None:
    assert FieldReader([text]).number() is None


NOT_A_NUMBER = [
    "nan",
    "sNaN",
    "-inf",
    "1e31",
    "1e-31",
    "1e999999",
    "ten",
    "1_000",
    "\u0661\u0662",
    "0x1",
    "9" * 200,
    "1 2",
]


@pytest.mark.parametrize("text", NOT_A_NUMBER)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(FieldError):
        FieldReader([text]).number()


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (FieldReader.integer, "1.5"),
        (FieldReader.integer, "1_0"),
        (FieldReader.integer, "9" * 20),
        (FieldReader.integer, "\u0661"),
        (FieldReader.flag, "2"),
        (FieldReader.flag, "yes"),
    ],
)
def test_what_is_no_integer_and_no_flag(read: Callable[[FieldReader], Any], text: str) -> None:
    with pytest.raises(FieldError, match="is n"):
        read(FieldReader([text]))


def test_reading_past_the_end() -> None:
    reader = FieldReader(["1"])
    assert (reader.integer(), reader.remaining) == (1, 0)

    with pytest.raises(FieldError, match="ends after 1 field"):
        reader.text()


def test_empty_fields_have_defaults() -> None:
    reader = FieldReader(["", "", "", "true"])
    assert (reader.integer(), reader.integer(7), reader.flag(), reader.flag()) == (0, 7, False, True)
