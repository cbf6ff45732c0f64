"""JSON from outside: whatever is sent, it is read exactly or refused, soon, and as the sender's mistake."""

import contextlib
import json
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.strict_json import MAX_DEPTH, load
from chalicelib.validation import validate


class Reader(BaseModel):
    seconds: int


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@given(documents, st.booleans())
def test_a_document_is_read_as_it_was_written(document: object, ascii_only: bool) -> None:
    assert load(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


def test_fractions_are_exact_and_never_floats() -> None:
    document = load(b'{"price": 0.1, "tiny": 1e-6, "big": 1.5e3, "whole": 7, "minus": -0}')

    assert document == {"price": Decimal("0.1"), "tiny": Decimal("0.000001"), "big": 1500, "whole": 7, "minus": 0}
    assert [type(value) for value in document.values()] == [Decimal, Decimal, Decimal, int, int]


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity", b'{"amount": NaN}', b"[1, Infinity]"])
def test_numbers_that_are_no_numbers_are_refused(constant: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        load(constant)

    assert refused.value.code == "malformed_json"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"]", b'"', b"{]", b"[1,]", b'{"a":1,}', b"{'a':1}", b"{a:1}", b"1 2", b"{}{}", b"// x"),
        *(b"01", b"+1", b".5", b"1.", b"0x10", b"1_000", b"True", b"None", b"nan", b"\x00", b'"\n"', b'"\\x41"'),
    ],
)
def test_whatever_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        load(body)

    assert refused.value.code == "malformed_json"


@pytest.mark.parametrize(
    "body",
    [b"\xff", b'"\xc3"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", '{"a": 1}'.encode("utf-16")],
    ids=["no UTF-8", "half a letter", "overlong", "a surrogate", "a byte order mark", "UTF-16"],
)
def test_whatever_is_not_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        load(body)


def test_half_an_emoji_in_a_transcript_does_not_cost_us_the_call() -> None:
    assert load(b'{"transcript": "bye \\ud83d"}') == {"transcript": "bye \ud83d"}


def test_a_whole_character_may_be_written_in_two_halves() -> None:
    assert load(b'{"say": "\\ud83d\\ude00", "path": "C:\\\\ud83d", "price": 0.1}') == {
        "say": "\U0001f600",
        "path": "C:\\ud83d",
        "price": Decimal("0.1"),
    }


@given(st.binary(max_size=60) | st.text('[]{}",:\\0123456789.eE+-tfn ua', max_size=60).map(str.encode))
def test_no_body_at_all_does_anything_worse_than_being_refused(body: bytes) -> None:
    try:
        document = load(body)
    except Malformed:
        return

    assert not isinstance(document, float)


# Depth


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b"[" + b"[{}],[]," * 100 + nested(MAX_DEPTH - 1) + b"]",
    ],
    ids=["lists", "objects", "wide and deep"],
)
def test_a_body_may_be_as_deep_as_the_limit(body: bytes) -> None:
    load(body)


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'[{"a":' * MAX_DEPTH + b"1" + b"}]" * MAX_DEPTH,
        b"[" + b"[{}],[]," * 100 + nested(MAX_DEPTH) + b"]",
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
    ],
    ids=["lists", "objects", "both", "wide and deep", "a million open", "objects left open"],
)
def test_a_deeper_body_is_refused_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        load(body)

    assert refused.value.code == "json_too_deep"
    assert str(MAX_DEPTH) in refused.value.detail


def test_a_shallow_limit_can_be_asked_for() -> None:
    assert load(nested(2), max_depth=2) == [[]]

    with pytest.raises(Malformed):
        load(nested(3), max_depth=2)


def test_many_brackets_beside_each_other_are_not_deep() -> None:
    assert load(b"[" + b"[],{}," * 10_000 + b"[]]")[:2] == [[], {}]


@pytest.mark.parametrize("text", ["[" * 500, "{[" * 500 + "}", '"' + "[" * 500, '\\"' + "[" * 500, "\\" * 7 + "{" * 99])
def test_brackets_inside_a_text_are_not_depth(text: str) -> None:
    assert load(json.dumps({"transcript": [text]}).encode()) == {"transcript": [text]}


def test_a_bracket_after_a_text_that_ends_in_a_backslash_is_depth() -> None:
    body = b'["\\\\",' * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1)

    with pytest.raises(Malformed) as refused:
        load(body)

    assert refused.value.code == "json_too_deep"


# Numbers


def test_a_large_whole_number_is_read_exactly() -> None:
    assert load(b"123456789012345678901234567890") == 123456789012345678901234567890


@pytest.mark.parametrize("number", [b"5e-324", b"-1.1754943508222875e-38", b"1.7976931348623157e308", b"0.0", b"0e0"])
def test_every_number_that_another_program_may_write_is_read_exactly(number: bytes) -> None:
    assert load(b'{"sentiment": ' + number + b"}") == {"sentiment": Decimal(number.decode())}


@pytest.mark.parametrize(
    "number",
    [b"9" * 5_000, b"-" + b"9" * 5_000, b"1e9999999999999999999", b"1e-9999999999999999999", b"1e10000000"],
    ids=["5000 digits", "minus 5000 digits", "no exponent at all", "nor a negative one", "ten million zeros"],
)
def test_a_number_that_would_take_a_machine_down_is_refused_by_whatever_reads_its_field(number: bytes) -> None:
    body = load(b'{"seconds": ' + number + b"}")

    with pytest.raises(Invalid) as refused:
        validate(Reader, body)

    assert refused.value.param == "seconds"


def test_a_field_that_nobody_reads_loses_no_call_though_its_number_is_beyond_any_meaning() -> None:
    body = load(b'{"score": 1e10000000, "seconds": 5}')

    assert validate(Reader, body).seconds == 5


# Time


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65 + b'["' + b"[" * 200_000 + b'"]',
        b'"' + b'\\"' * 8_000 + b"[" * 65,
        b'"' + b'\\"' * 8_000 + b"[" * 65 + b"\\",
        b'["' + b'\\"' * 8_000 + b"[" * 65 + b'"]',
        b'"' * 20_001 + b"[" * 65,
    ],
    ids=["brackets in a text", "a text that never ends", "nor in a backslash", "a text full of quotes", "quotes alone"],
)
def test_a_body_is_read_or_refused_in_a_moment_whatever_the_sender_contrived(body: bytes) -> None:
    started = time.process_time()

    with contextlib.suppress(Malformed):
        load(body)

    assert time.process_time() - started < 0.5


# Repeated keys


def test_of_two_values_for_one_key_the_last_counts_as_in_every_other_reader() -> None:
    assert load(b'{"amount": "1.00", "amount": "2.00"}') == {"amount": "2.00"}
