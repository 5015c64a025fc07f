"""`check` and `solution` as a notebook uses them, and what they say."""

import signal
import sys
import time

import pytest
import torch

from llmbook.course import case, check, solution
from llmbook.exercises.checking import NotYetError, limited
from llmbook.exercises.exercise import find_exercise
from llmbook.exercises.verdicts import local_call

NAME = "1.2.2/scaled-scores"


def notebook(code: str, call: str = f'check("{NAME}", "en")') -> str:
    """Runs code as a notebook does, in a namespace of its own."""
    space = {"__name__": "__main__"}
    exec(code, space)
    exec(f"from llmbook.course import check\n{call}", space)
    return ""


def test_a_right_function_passes(capsys: pytest.CaptureFixture[str]) -> None:
    notebook(find_exercise(NAME).text("solution"))
    out = capsys.readouterr().out
    seen = f"{NAME}: 2 of 2 checks pass\n✓ two queries, three keys, all visible\n✓ one key is hidden\n\n"
    assert out == seen + (
        "Grading makes 4 further checks, not made here: a batch of different lengths; some rows see nothing; "
        "the gradient where rows see nothing; very large scores.\n"
    )


def test_a_wrong_one_is_told_input_expectation_result_and_misconception() -> None:
    wrong = find_exercise(NAME).text("solution").replace(" / math.sqrt(query.shape[-1])", "")
    with pytest.raises(NotYetError) as error:
        notebook(wrong)
    text = str(error.value)
    assert f"{NAME}: 0 of 2 checks pass" in text
    assert "input: query = [[[1., 0., 1., 0.], [0., 2., 0., 2.]]], key = " in text
    assert "they first differ at [0, 0, 0]: 0.50648 expected, 0.665241 found" in text
    assert text.endswith("This looks like a misconception: the scores are not divided by √d_k")


def test_without_a_language_both_are_spoken() -> None:
    with pytest.raises(NotYetError) as error:
        notebook(find_exercise(NAME).text("stub"), f'check("{NAME}")')
    assert "还没有写" in str(error.value)
    assert "it is not written yet" in str(error.value)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "there is no function named attention_weights here; run the cell that defines it first"),
        ("def attention_weights(q, k, visible): pass", "it returns None; is a return missing?"),
        ("def attention_weights(q, k, visible): return q.tolist()", "expected a tensor, got a list"),
        ("def attention_weights(q, k, visible): return q", "expected the shape [1, 2, 3], got [1, 2, 4]"),
        ("def attention_weights(q, k, visible): return (q @ k.mT).double()", "expected the type float32, got float64"),
        ("def attention_weights(q, k, visible): return q.nonsense", "AttributeError: 'Tensor' object has no attribute"),
        (
            "def attention_weights(q, k, visible): return object()",
            "it returns a object, which is not what was asked for",
        ),
        ("def attention_weights(q, k): return q", "TypeError: attention_weights() takes 2 positional arguments"),
    ],
)
def test_usual_mishaps_have_words(code: str, says: str) -> None:
    with pytest.raises(NotYetError) as error:
        notebook(code)
    assert says in str(error.value)


def test_a_function_that_overwrites_its_input_is_wrong() -> None:
    code = (
        find_exercise(NAME)
        .text("solution")
        .replace("scores = query @", "query.mul_(1.5); query.div_(1.5).add_(1e-3)\n    scores = (query - 1e-3) @")
    )
    with pytest.raises(NotYetError, match="it overwrites a tensor that it was given"):
        notebook(code)


def test_a_notebook_shows_the_message_without_the_way_through_the_package() -> None:
    assert NotYetError("one\ntwo")._render_traceback_() == ["one", "two"]


def test_the_solution_comes_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr("llmbook.exercises.checking.display", shown.append)
    solution(NAME)
    assert shown[0].data == f"```python\n{find_exercise(NAME).text('solution')}```"


@pytest.mark.messages
def test_what_cannot_be_checked_is_told() -> None:
    with pytest.raises(ValueError, match=r"no exercise '9\.9\.9/x'; there are 1\.1\.2/causal-convolution"):
        check("9.9.9/x")
    for call in (check, solution):
        with pytest.raises(ValueError, match="is an open question; a person reads the answer"):
            call("1.1.2/which-family")
    with pytest.raises(ValueError, match="language is 'de'"):
        check(NAME, "de")


@pytest.mark.parametrize(
    ("name", "wrap", "says"),
    [
        (
            "1.3.2/parameter-count",
            "torch.tensor(f(*args))",
            "the value is right, its kind is not: expected int, got Tensor",
        ),
        ("1.3.2/parameter-count", "float(f(*args))", "the value is right, its kind is not: expected int, got float"),
        ("1.2.1/teacher-forcing-loss", "f(*args).item()", "the value is right, its kind is not: expected Tensor"),
        ("1.2.1/teacher-forcing-loss", "f(*args)[None]", "the value is right, its kind is not: expected Tensor"),
    ],
)
def test_right_in_value_and_wrong_in_kind_is_said(name: str, wrap: str, says: str) -> None:
    exercise = find_exercise(name)
    code = f"{exercise.text('solution')}\nimport torch\nf = {exercise.function}\ndef {exercise.function}(*args): return {wrap}"
    with pytest.raises(NotYetError, match=says.replace("[", r"\[")):
        notebook(code, f'check("{name}", "en")')


def test_one_case_that_agrees_is_no_misconception_if_another_does_not() -> None:
    """The sum over tokens divided by their number in the longest sentence: on one sentence without padding that is the mean."""
    name = "1.2.1/teacher-forcing-loss"
    wrong = find_exercise(name).text("solution").replace("counted.sum().clamp(min=1)", "logits.shape[1]")
    with pytest.raises(NotYetError) as error:
        notebook(wrong, f'check("{name}", "en")')
    assert "misconception" not in str(error.value)


def test_a_case_gives_the_input_and_what_was_expected_whole() -> None:
    args, expected = case("1.1.2/causal-convolution", 2)
    right = find_exercise("1.1.2/causal-convolution").solution()(*args)
    assert torch.allclose(right, expected)
    with pytest.raises(NotYetError, match=r'once more: args, expected = case\("1\.1\.2/causal-convolution", 2\)'):
        notebook(
            "def causal_convolution(x, weight, dilation): return x[..., :1] * 0",
            'check("1.1.2/causal-convolution", "en")',
        )
    for number in (0, 3, True):
        with pytest.raises(ValueError, match="has the public checks 1 to 2; got"):
            case("1.1.2/causal-convolution", number)


def test_a_call_that_does_not_end_is_stopped_and_one_that_ends_the_program_is_an_error() -> None:
    def endless(*_: object) -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    before = signal.getsignal(signal.SIGALRM)
    assert limited(local_call(endless), 0.2)("f", [], False) == {"stopped": "time"}
    assert limited(local_call(lambda: sys.exit(3)), 5)("f", [], False)["error"] == "SystemExit"
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    with pytest.raises(NotYetError, match="SystemExit: 3"):
        notebook("import sys\ndef attention_weights(q, k, visible): sys.exit(3)")
