"""Verdicts: puts the cases of an exercise to a submission, compares its answers with the oracle's, explains what is wrong.

The code of a submission is not run here: a `Call` runs it, in the reader's own process or in a sandbox, and gives back data.

Book: §0
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from llmbook.book.source import LANGUAGES
from llmbook.exercises import guest
from llmbook.exercises.exercise import Case, Exercise, Text
from llmbook.exercises.foreign_text import printable

Answer = dict[str, Any]
Call = Callable[[str, list[Any], bool], Answer]
MOST_NUMBERS = 40
STOPPED: dict[str, Text] = {
    "time": {"zh": "运行超时，被停下", "en": "it did not end in time and was stopped"},
    "memory": {"zh": "内存超限，被停下", "en": "it took more memory than allowed and was stopped"},
    "output": {"zh": "输出太多，被停下", "en": "it wrote more than allowed and was stopped"},
    "dead": {"zh": "内核没有了", "en": "its kernel died"},
    "own": {
        "zh": "没有运行：前面自己加的单元格已用完时间，作答又用不着这一格",
        "en": "not run: cells of your own before it used up their time, and no answer needs it",
    },
    "protocol": {"zh": "交回来的不是答案", "en": "what came back is no answer"},
}


@dataclass(frozen=True)
class Verdict:
    """What became of one case. `message` says it in both languages; `looks_like` are the misconceptions that answer the same.

    `stopped` is why the call had to be stopped, if it had to be.
    """

    case: Case
    passed: bool
    message: Text = field(default_factory=dict)
    looks_like: tuple[str, ...] = ()
    stopped: str = ""


def local_call(function: Callable[..., Any]) -> Call:
    """Calls a function of this process with copies of the arguments."""

    def call(_: str, args: list[Any], gradient: bool) -> Answer:
        return guest.called(function, [guest.decode(guest.encode(part)) for part in args], gradient=gradient)

    return call


def try_cases(
    exercise: Exercise, call: Call, *, public: bool | None = None, before: Sequence[Verdict] = ()
) -> list[Verdict]:
    """Puts the cases of an exercise to `call`, in order, and explains what is wrong.

    After a call that had to be stopped, the other cases are not tried: they count as stopped for the same reason.

    Args:
        public: only the public cases, or only the others; all of them by default.
        before: the verdicts on cases that were put earlier.
    """
    verdicts = []
    stopped = next((one.stopped for one in before if one.stopped), "")
    for case in exercise.cases():
        if public is not None and case.public != public:
            continue
        answer: Answer = {"stopped": stopped} if stopped else call(exercise.function, list(case.args), case.gradient)
        stopped = answer.get("stopped", "")
        verdicts.append(verdict(exercise, case, answer))
    return verdicts


def verdict(exercise: Exercise, case: Case, answer: Answer) -> Verdict:
    """Compares one answer with the oracle's."""
    right = right_answer(exercise, case)
    wrong = difference(case, right, answer)
    if wrong is None:
        return Verdict(case, True)
    likely = []
    for name, mutant in exercise.mutants.items():
        theirs = local_call(mutant)(exercise.function, list(case.args), case.gradient)
        if difference(case, right, theirs) is not None and same(case, theirs, answer):
            likely.append(name)
    return Verdict(case, False, wrong, tuple(likely), answer.get("stopped", ""))


def right_answer(exercise: Exercise, case: Case) -> Answer:
    """The oracle's answer.

    Raises:
        RuntimeError: the oracle fails.
    """
    right = local_call(exercise.oracle)(exercise.function, list(case.args), case.gradient)
    if "error" in right:
        raise RuntimeError(
            f"the oracle of {exercise.id} fails on {case.title['en']!r}: {right['error']}: {right['message']}"
        )
    return right


def misconception(verdicts: Iterable[Verdict], exercise: Exercise) -> str | None:
    """The misconception whose answers are those of every failed case; of several, the one that `exercise.toml` names first."""
    failed = [set(one.looks_like) for one in verdicts if not one.passed]
    agreed = set.intersection(*failed) if failed else set()
    return next((name for name in exercise.misconceptions if name in agreed), None)


def same(case: Case, one: Answer, other: Answer) -> bool:
    """Whether two answers agree: the same values within the case's tolerance, or the same kind of error."""
    if "error" in one or "error" in other:
        return one.get("error") == other.get("error") and one.get("message") == other.get("message")
    return difference(case, one, other) is None


def difference(case: Case, right: Answer, answer: Answer) -> Text | None:
    """What keeps an answer from being right, in both languages; None if nothing does."""
    if "stopped" in answer:
        return STOPPED[answer["stopped"]]
    if "error" in answer:
        return _error_text(answer)
    try:
        wanted, value = (guest.decode(one["value"]) for one in (right, answer))
        found = _value_difference(wanted, value, case.tolerance)
        if found is None and case.gradient:
            found = _gradient_difference(right, answer, case.tolerance)
        changed = answer["changed"] not in ([], right["changed"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return STOPPED["protocol"]
    if found is None and changed:
        return {"zh": "它改动了传给它的张量", "en": "it overwrites a tensor that it was given"}
    return found


def _gradient_difference(right: Answer, answer: Answer, tolerance: float) -> Text | None:
    for number, (ours, theirs) in enumerate(zip(right["gradients"], answer["gradients"], strict=True), 1):
        if found := _value_difference(guest.decode(ours), guest.decode(theirs), tolerance):
            return {
                "zh": f"结果对，第 {number} 个张量的梯度不对：{found['zh']}",
                "en": f"the result is right, the gradient of tensor {number} is not: {found['en']}",
            }
    return None


def _error_text(answer: Answer) -> Text:
    kind, message = printable(str(answer["error"])[:100]), printable(str(answer.get("message", ""))[:300])
    if kind == "missing":
        return {"zh": f"没有名叫 {message} 的函数", "en": f"there is no function named {message}"}
    if kind == "NotImplementedError":
        return {"zh": "还没有写", "en": "it is not written yet"}
    if kind == "foreign":
        return {
            "zh": f"它返回了 {message}，不是所要的类型",
            "en": f"it returns a {message}, which is not what was asked for",
        }
    at = printable(str(answer.get("line", ""))[:200])
    where = {"zh": f"，在这一行：{at}" if at else "", "en": f", in the line: {at}" if at else ""}
    return {lang: f"{kind}: {message}{where[lang]}" for lang in LANGUAGES}


def _value_difference(wanted: Any, value: Any, tolerance: float) -> Text | None:
    if value is None and wanted is not None:
        return {"zh": "它返回了 None；是不是漏了 return？", "en": "it returns None; is a return missing?"}
    if isinstance(wanted, list | tuple) and isinstance(value, list | tuple):
        return _parts_difference(wanted, value, tolerance)
    if found := _kind_difference(wanted, value, tolerance):
        return found
    if isinstance(wanted, torch.Tensor):
        return _tensor_difference(wanted, value, tolerance)
    if isinstance(wanted, float) and isinstance(value, int | float) and not isinstance(value, bool):
        right = bool(np.isclose(value, wanted, rtol=tolerance, atol=tolerance, equal_nan=True))
    else:
        right = type(wanted) is type(value) and wanted == value
    if right:
        return None
    return {"zh": f"应得 {brief(wanted)}，得到 {brief(value)}", "en": f"expected {brief(wanted)}, got {brief(value)}"}


def _kind_difference(wanted: Any, value: Any, tolerance: float) -> Text | None:
    """An answer that is right in value and wrong in kind: a tensor for a number, a float for an int, and the other way round."""
    right, found = _number(wanted), _number(value)
    kinds = [_kind(one) for one in (wanted, value)]
    if right is None or found is None or kinds[0] == kinds[1] or kinds == ["float", "int"]:
        return None
    if not np.isclose(found, right, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    return {
        "zh": f"值是对的，种类不对：应得 {kinds[0]}，得到 {kinds[1]}",
        "en": f"the value is right, its kind is not: expected {kinds[0]}, got {kinds[1]}",
    }


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 and not value.is_complex() else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _kind(value: Any) -> str:
    return f"Tensor{list(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__


def _parts_difference(wanted: list | tuple, value: list | tuple, tolerance: float) -> Text | None:
    if len(wanted) != len(value):
        return {
            "zh": f"应有 {len(wanted)} 项，得到 {len(value)} 项",
            "en": f"expected {len(wanted)} parts, got {len(value)}",
        }
    for number, pair in enumerate(zip(wanted, value, strict=True), 1):
        if found := _value_difference(*pair, tolerance):
            return {"zh": f"第 {number} 项：{found['zh']}", "en": f"part {number}: {found['en']}"}
    return None


def _tensor_difference(wanted: torch.Tensor, value: Any, tolerance: float) -> Text | None:
    if not isinstance(value, torch.Tensor):
        kind = type(value).__name__
        return {"zh": f"应得张量，得到 {kind}", "en": f"expected a tensor, got a {kind}"}
    if value.shape != wanted.shape:
        shapes = [str(list(one.shape)) for one in (wanted, value)]
        return {"zh": "形状应为 {}，得到 {}".format(*shapes), "en": "expected the shape {}, got {}".format(*shapes)}
    if value.dtype != wanted.dtype:
        names = [str(one.dtype).removeprefix("torch.") for one in (wanted, value)]
        return {"zh": "类型应为 {}，得到 {}".format(*names), "en": "expected the type {}, got {}".format(*names)}
    near = torch.isclose(value.double(), wanted.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if bool(near.all()):
        return None
    at = tuple((~near).nonzero()[0].tolist())
    one, other = (f"{tensor[at].item():.6g}" for tensor in (wanted, value))
    values = [brief(wanted), brief(value)]
    return {
        "zh": f"应得 {values[0]}，得到 {values[1]}；第一处不同在 {list(at)}：应为 {one}，得到 {other}",
        "en": f"expected {values[0]}, got {values[1]}; they first differ at {list(at)}: {one} expected, {other} found",
    }


def brief(value: Any) -> str:
    """A value in one line: small tensors with their numbers, large ones by their shape and their ends."""
    if isinstance(value, torch.Tensor):
        numbers = value.detach().double() if value.dtype == torch.bfloat16 else value.detach()
        text = np.array2string(
            numbers.numpy(), precision=4, separator=", ", threshold=MOST_NUMBERS, edgeitems=2, suppress_small=True
        )
        return " ".join(text.split()).replace("[ ", "[")
    if isinstance(value, str):
        value = value[:300]
    text = printable(json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value))
    return text if len(text) <= 200 else f"{text[:200]}…"
