"""What comes out of a sandbox, taken for hostile: answers, outputs, words.

Book: §0
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from llmbook.exercises.foreign_text import printable, storable
from llmbook.exercises.guest import decode
from llmbook.exercises.verdicts import Answer

TEXT_OUTPUT = 20_000
MOST_PARTS = 100  # gradients of one answer, arguments that it overwrote
VALUE, ERROR = {"value", "gradients", "changed"}, {"error", "message", "line"}
PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def plain_answer(answer: Any) -> Answer:
    """What came back of a call, as far as it is an answer: no more keys than those, each of its kind, every value decoded once.

    Raises:
        ValueError: it is no answer.
    """
    if type(answer) is not dict or not (set(answer) <= VALUE or set(answer) <= ERROR):
        raise ValueError(
            "an answer has a value, gradients and what was changed, or an error, a message and a line; nothing else"
        )
    if "error" in answer:
        said = {key: answer.get(key, "") for key in ("error", "message", "line")}
        if not all(type(text) is str for text in said.values()):
            raise ValueError("an error's name, message and line are text")
        return {key: printable(text) for key, text in said.items()}
    gradients, changed = answer.get("gradients"), answer.get("changed")
    if not (gradients is None or type(gradients) is list) or type(changed) is not list or len(changed) > MOST_PARTS:
        raise ValueError("an answer has a list of gradients, or none, and a list of what was changed")
    for part in (answer.get("value"), *(gradients or [])):
        decode(part)
    return {"value": answer.get("value"), "gradients": gradients, "changed": changed}


def shown(kind: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    """An output as the instructor's page may show it: text and PNG, nothing that a browser would run."""
    if kind == "stream":
        return [{"output_type": "stream", "name": "stdout", "text": storable(str(content["text"])[:TEXT_OUTPUT])}]
    if kind == "error":
        name, value = printable(str(content["ename"])[:100]), storable(str(content["evalue"])[:2000])
        return [{"output_type": "error", "ename": name, "evalue": value, "traceback": [f"{name}: {value}"]}]
    if kind not in ("execute_result", "display_data"):
        return []
    data = content["data"]
    kept: dict[str, str] = {}
    if isinstance(data.get("text/plain"), str):
        kept["text/plain"] = storable(data["text/plain"][:TEXT_OUTPUT])
    if found := picture(data.get("image/png"), ["image/png"]):
        kept["image/png"] = found[1]
    return [{"output_type": "display_data", "data": kept, "metadata": {}}] if kept else []


def picture(text: Any, kinds: Sequence[str] = tuple(PICTURES)) -> tuple[str, str] | None:
    """Type and base64 of a picture, written anew since it stands in an attribute; None for what is none of these kinds."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, binascii.Error, ValueError):
        return None
    kind = next((kind for kind in kinds if raw.startswith(PICTURES[kind])), None)
    return (kind, base64.b64encode(raw).decode("ascii")) if kind else None
