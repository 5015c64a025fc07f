"""What comes out of a sandbox: answers that are none, outputs that are more than text, words that do more than be read."""

import base64
import contextlib
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.exercises import guest
from llmbook.exercises.exercise import Case, exercises
from llmbook.exercises.foreign_text import printable, storable
from llmbook.exercises.verdicts import difference, verdict
from llmbook.grading.received import plain_answer, shown

PNG = b"\x89PNG\r\n\x1a\n" + bytes(9)
CASES = [(one, case) for one in exercises(1) if one.kind != "open" for case in one.cases()]


def honest(value: object) -> dict:
    return {"value": guest.encode(value), "gradients": None, "changed": []}


@pytest.mark.parametrize("value", [None, 1, 2.5, "text", [1, (2, 3)], {"a": torch.ones(2, 3)}, torch.tensor([True])])
def test_an_honest_answer_passes_as_it_is(value: object) -> None:
    assert plain_answer(json.loads(json.dumps(honest(value)))) == json.loads(json.dumps(honest(value)))


@pytest.mark.parametrize(
    "answer",
    [
        *(None, 3, "x", [], {}, {"value": 1}, {"value": 1, "changed": 3}, {"value": 1, "changed": [0] * 101}),
        *(
            {"value": {"x": 1}, "changed": []},
            {"value": 1, "gradients": 3, "changed": []},
            {"stopped": "x"},
            honest(1) | {"stopped": "time"},
        ),
        *({"error": 3}, {"error": "x", "message": ["x"]}, {"value": 1, "gradients": [{"x": 1}], "changed": []}),
        {"value": {"tensor": "", "dtype": "float32", "shape": [0] + [2**31 - 1] * 6}, "changed": []},
        {"value": {"tensor": "", "dtype": "float32", "shape": [0] * 9}, "changed": []},
        {"value": {"tensor": "", "dtype": "float32", "shape": [-1]}, "changed": []},
        {"value": {"tensor": "", "dtype": "float32", "shape": [True]}, "changed": []},
        {"value": {"array": "", "dtype": "bfloat16", "shape": [0]}, "changed": []},
        {"value": {"tensor": "????", "dtype": "int8", "shape": [3]}, "changed": []},
    ],
)
def test_what_is_no_answer_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain_answer(answer)


def test_an_error_is_in_words_that_only_can_be_read() -> None:
    said = plain_answer({"error": "E\x1b[31m", "message": "a\n✓ all", "line": "x\u202ey"})
    assert said == {"error": "E\\x1b[31m", "message": "a\\n✓ all", "line": "x\\u202ey"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "gradients", "changed", "list", "tuple", "dict", "float", "error"]),
            inside,
            max_size=3,
        )
        | st.fixed_dictionaries(
            {
                "tensor": st.sampled_from(["", "AAAAAA==", "AACAPw=="]),
                "dtype": st.sampled_from(["float32", "int64", "bool"]),
                "shape": st.lists(st.integers(-1, 2**31), max_size=4),
            }
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    value=JSON,
    gradients=st.none() | st.lists(JSON, max_size=3),
    changed=st.lists(JSON, max_size=2),
    at=st.integers(0, len(CASES) - 1),
)
def test_any_answer_is_compared_without_an_error(value: object, gradients: object, changed: object, at: int) -> None:
    exercise, case = CASES[at]
    answer = {"value": value, "gradients": gradients, "changed": changed}
    with contextlib.suppress(ValueError):
        answer = plain_answer(json.loads(json.dumps(answer)))
    found = verdict(exercise, case, answer)
    assert all(sign.isprintable() for text in found.message.values() for sign in text)


def test_a_number_beyond_all_floats_is_wrong_and_no_error() -> None:
    case = Case({"zh": "", "en": ""}, ())
    assert difference(case, honest(1.0), {"value": 10**4000, "gradients": None, "changed": []}) is not None
    assert difference(case, honest(torch.ones(2)), {"value": 10**4000, "gradients": None, "changed": []}) is not None


def test_of_outputs_text_and_png_are_kept() -> None:
    picture = base64.b64encode(PNG).decode()
    data = {"text/plain": "x\ud800\0", "text/html": "<script>", "image/png": picture, "image/svg+xml": "<svg>"}
    (kept,) = shown("display_data", {"data": data, "metadata": {"x": 1}})
    assert kept["data"] == {"text/plain": "x" + "\ufffd" * 4, "image/png": picture}
    assert kept["metadata"] == {}
    for evil in (f'{picture}"><script>', "R0lGODlh", 3, None, [picture]):
        assert "image/png" not in shown("display_data", {"data": {"text/plain": "x", "image/png": evil}})[0]["data"]
    assert shown("comm_open", {"data": {}}) == []


def test_words_for_a_line_and_for_a_file() -> None:
    assert printable("a\nb\x1b[31m\u202e\u2028\ud800é字") == "a\\nb\\x1b[31m\\u202e\\u2028\\ud800é字"
    assert storable("a\n\ud83d\ude00\ud800\0字").encode()
    assert storable("字\n\t") == "字\n\t"
