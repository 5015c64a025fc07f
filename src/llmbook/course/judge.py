"""The judge: runs the cells of a submitted notebook in a sandbox, puts the checks to its functions, writes scores and reasons.

Checks and solutions stay in this process, which is not the student's. Into the sandbox go arguments, out of it come answers as
data (see `guest`), limited in size; whatever else comes is worth nothing. `python -m llmbook.course.judge` judges one
notebook under limits of its own, so that a submission that harms its judge harms only itself.

Book: §0
"""

import base64
import json
import queue
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking import BlockingKernelClient

from llmbook.course.bubblewrap import Limits
from llmbook.course.exercises import Exercise, exercises
from llmbook.course.guest import ANSWER, encode
from llmbook.course.sandbox import Kernel, SandboxError, private_folder
from llmbook.course.source import LANGUAGES
from llmbook.course.verdicts import STOPPED, Answer, judge, misconception, report, score

LONGEST_CELL = 200_000
MOST_CELLS = 500
JUDGE_MEMORY = 12_000_000_000
JUDGE_SECONDS = 900
TEXT_OUTPUT = 20_000
GRACE = 3.0  # seconds from a reply to the idle state
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Judged:
    """What the judge found: outputs by cell id, exercises by id, and what it took."""

    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exercises: dict[str, dict[str, Any]] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: float = 0.0


class Session:
    """A kernel and the cells that it has run; begun again, without the cell that stopped it, until its restarts are used up."""

    def __init__(self, cells: list[tuple[str, str]], limits: Limits, judged: Judged, *, trusted: bool):
        self.cells, self.limits, self.judged, self.trusted = cells, limits, judged, trusted
        self.skipped: set[str] = set()
        self.starts = 0
        self.end = time.monotonic() + limits.wall
        self.kernel: Kernel | None = None
        self.client: BlockingKernelClient | None = None

    def run(self, folder: Path) -> bool:
        """Brings a kernel to the end of the notebook; False if there is none to be had any more."""
        while self.kernel is None and self.starts <= self.limits.restarts and time.monotonic() < self.end:
            self.starts += 1
            self._start(folder / f"kernel-{self.starts}")
            for name, code in self.cells:
                if name in self.skipped:
                    continue
                stopped = self._cell(name, code)
                if stopped:
                    self.skipped.add(name)
                    self.judged.outputs[name] = [*self.judged.outputs.get(name, []), _stopped_output(stopped)]
                    self.close(stopped)
                    break
        return self.kernel is not None

    def _start(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.kernel = Kernel(folder, self.limits, trusted=self.trusted)
        self.kernel.wait_until_listening()
        context = zmq.Context()
        context.setsockopt(
            zmq.RECONNECT_IVL, -1
        )  # a socket that the submission puts in place of the kernel's is never asked
        context.setsockopt(zmq.MAXMSGSIZE, self.limits.answer)
        context.setsockopt(zmq.LINGER, 0)
        self.client = BlockingKernelClient(context=context)
        self.client.load_connection_info(self.kernel.connection)  # type: ignore[arg-type]
        self.client.start_channels(stdin=False, hb=False)
        try:
            self.client.wait_for_ready(timeout=30)
        except RuntimeError as error:
            raise SandboxError(f"the kernel does not answer: {error}") from error

    def close(self, reason: str | None = None) -> None:
        """Ends the kernel."""
        if self.client is not None:
            self.client.stop_channels()
            self.client.context.destroy(linger=0)
        if self.kernel is not None:
            self.kernel.kill(reason or "dead")
            self.judged.peak_mb = max(self.judged.peak_mb, self.kernel.peak / 1e6)
        if reason:
            self.judged.stops.append(reason)
        self.kernel = self.client = None

    def _cell(self, name: str, code: str) -> str | None:
        outputs: list[dict[str, Any]] = []
        self.judged.outputs[name] = outputs
        _, stopped = self._execute(code, {}, self.limits.cell, outputs)
        return stopped

    def call(self, function: str, args: list[Any], gradient: bool) -> Answer:
        """One call of a submitted function; what is not an answer becomes the reason why there is none."""
        request = json.dumps({"function": function, "args": [encode(part) for part in args], "gradient": gradient})
        asked = {"answer": f"__import__('llmbook_guest').reply(globals(), {request!r})"}
        reply, stopped = self._execute("", asked, self.limits.call, None)
        if stopped:
            self.close(stopped)
            return {"stopped": stopped}
        try:
            answer = json.loads(reply["user_expressions"]["answer"]["data"][ANSWER])
        except (KeyError, TypeError, ValueError, RecursionError):
            return {"stopped": "protocol"}
        return answer if _plain_answer(answer) else {"stopped": "protocol"}

    def _execute(
        self, code: str, asked: dict[str, str], seconds: float, outputs: list[dict[str, Any]] | None
    ) -> tuple[dict[str, Any], str | None]:
        """Runs code; returns the content of the reply, and why it was stopped. All that comes is taken for hostile."""
        assert self.client is not None
        assert self.kernel is not None
        end = min(self.end, time.monotonic() + seconds)
        content: dict[str, Any] = {}
        replied = idle = False
        written, patience = 0, end
        try:
            number = self.client.execute(
                code, silent=outputs is None, store_history=False, user_expressions=asked, allow_stdin=False
            )
            while not (replied and idle):
                if self.kernel.stopped or self.kernel.process.poll() is not None:
                    return {}, self.kernel.stopped or "dead"
                if time.monotonic() > patience:
                    return {}, "output" if replied else "time"
                if not replied and self.client.shell_channel.msg_ready():
                    message = self.client.get_shell_msg(timeout=0)
                    if message["parent_header"].get("msg_id") == number:
                        # a message that is too large cuts the channel of outputs, and the idle state never comes
                        content, replied, patience = message["content"], True, min(end, time.monotonic() + GRACE)
                try:
                    message = self.client.get_iopub_msg(timeout=0.02)
                except queue.Empty:
                    continue
                if message["parent_header"].get("msg_id") != number:
                    continue
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    idle = True
                elif outputs is not None:
                    written += len(str(message["content"])[: self.limits.output + 1])
                    if written > self.limits.output:
                        return {}, "output"
                    outputs += _output(message["msg_type"], message["content"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zmq.ZMQError) as error:
            return {}, "dead" if isinstance(error, zmq.ZMQError) else "protocol"
        return content, None


def judge_notebook(
    notebook: dict[str, Any], *, private: Path | None = None, limits: Limits | None = None, trusted: bool = False
) -> Judged:
    """Runs a submitted exercise notebook (JSON of nbformat 4) and judges every exercise of its chapter.

    Raises:
        ValueError: it is no notebook of exercises.
        SandboxError: no kernel could be started.
    """
    limits = limits or Limits()
    chapter = chapter_of(notebook)
    cells = code_cells(notebook)
    judged = Judged()
    began = time.monotonic()
    with private_folder() as folder:
        session = Session(cells, limits, judged, trusted=trusted)
        try:
            for exercise in exercises(chapter, private=private):
                if exercise.kind != "open":
                    judged.exercises[exercise.id] = _judge_exercise(exercise, session, folder)
        finally:
            session.close()
    judged.seconds = time.monotonic() - began
    return judged


def _judge_exercise(exercise: Exercise, session: Session, folder: Path) -> dict[str, Any]:
    def call(function: str, args: list[Any], gradient: bool) -> Answer:
        if session.kernel is not None and session.kernel.stopped:
            session.close(session.kernel.stopped)
        if not session.run(folder):
            return {"stopped": session.judged.stops[-1] if session.judged.stops else "time"}
        return session.call(function, args, gradient)

    verdicts = judge(exercise, call)
    return {
        "score": score(verdicts),
        "points": exercise.points,
        "student": {lang: report(exercise, verdicts, lang, points=True) for lang in LANGUAGES},
        "instructor": {lang: report(exercise, verdicts, lang, everything=True, points=True) for lang in LANGUAGES},
        "misconception": misconception(verdicts, exercise),
    }


def chapter_of(notebook: dict[str, Any]) -> int:
    """The chapter whose exercises a notebook holds; ValueError if it names none that has any."""
    try:
        chapter = notebook["metadata"]["llmbook"]["exercises"]
    except (KeyError, TypeError):
        chapter = None
    if type(chapter) is not int or not exercises(chapter):
        raise ValueError("this is no notebook of exercises: its metadata names no chapter that has any")
    return chapter


def code_cells(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, source) of the cells to run: code that is no check. ValueError for what is no list of usual cells."""
    cells = notebook.get("cells")
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise ValueError(f"a notebook needs a list of at most {MOST_CELLS} cells")
    found = []
    for number, cell in enumerate(cells):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        source = "".join(source) if isinstance(source, list) else source
        metadata = cell.get("metadata", {})
        marks = metadata.get("nbgrader", {}) if isinstance(metadata, dict) else {}
        if isinstance(marks, dict) and marks.get("grade") and not marks.get("solution"):
            continue
        if not isinstance(source, str) or len(source) > LONGEST_CELL:
            raise ValueError(f"the code of cell {number} is no text of at most {LONGEST_CELL} characters")
        found.append((cell_name(cell, number), source))
    return found


def cell_name(cell: dict[str, Any], number: int) -> str:
    """The name under which the judge keeps a cell's outputs."""
    return f"{number}:{cell.get('id', '')}"


def _plain_answer(answer: Any) -> bool:
    if not isinstance(answer, dict):
        return False
    if "error" in answer:
        return all(isinstance(answer.get(key, ""), str) for key in ("error", "message", "line"))
    gradients = answer.get("gradients")
    return (
        "value" in answer
        and isinstance(answer.get("changed"), list)
        and (gradients is None or isinstance(gradients, list))
    )


def _stopped_output(reason: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stderr", "text": " / ".join(STOPPED[reason].values()) + "\n"}


def _output(kind: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    """An output as the instructor's page may show it: text and PNG, nothing that a browser would run."""
    if kind == "stream":
        return [{"output_type": "stream", "name": "stdout", "text": str(content["text"])[:TEXT_OUTPUT]}]
    if kind == "error":
        name, value = str(content["ename"])[:100], str(content["evalue"])[:2000]
        return [{"output_type": "error", "ename": name, "evalue": value, "traceback": [f"{name}: {value}"]}]
    if kind not in ("execute_result", "display_data"):
        return []
    data = content["data"]
    shown: dict[str, str] = {}
    if isinstance(data.get("text/plain"), str):
        shown["text/plain"] = data["text/plain"][:TEXT_OUTPUT]
    picture = data.get("image/png")
    if isinstance(picture, str) and base64.b64decode(picture, validate=False)[:8] == PNG:
        shown["image/png"] = picture
    return [{"output_type": "display_data", "data": shown, "metadata": {}}] if shown else []


def main() -> None:
    """`python -m llmbook.course.judge NOTEBOOK RESULT REQUEST`: judges one notebook; REQUEST is JSON: {"private", "trusted"}."""
    notebook, result, request = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (JUDGE_MEMORY, JUDGE_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (JUDGE_SECONDS, JUDGE_SECONDS))
    private = Path(request["private"]) if request.get("private") else None
    limits = Limits(**request.get("limits", {}))
    judged = judge_notebook(
        json.loads(notebook.read_text(encoding="utf-8")), private=private, limits=limits, trusted=request["trusted"]
    )
    result.write_text(json.dumps(asdict(judged)), encoding="utf-8")


if __name__ == "__main__":
    main()
