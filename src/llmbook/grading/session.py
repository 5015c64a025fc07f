"""A kernel in its sandbox and the cells that it has run: begun again without the cell that stopped it.

Book: §0
"""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking import BlockingKernelClient

from llmbook.exercises.guest import ANSWER, encode
from llmbook.exercises.verdicts import STOPPED, Answer
from llmbook.grading.bubblewrap import Limits
from llmbook.grading.received import plain_answer, shown
from llmbook.grading.sandbox import Kernel, SandboxError

GRACE = 3.0  # seconds from a reply to the idle state
SENDING = 2000  # milliseconds to send a request
QUEUE = 32  # messages of a channel that wait to be read


@dataclass
class Judgement:
    """What the judge found: outputs by cell id, exercises by id, and what it took."""

    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exercises: dict[str, dict[str, Any]] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: float = 0.0
    others: float = 0.0  # the share of this machine's processors that something else took in the meantime


class Session:
    """A kernel and the cells that it has run; begun again, without the cell that stopped it, until its restarts are used up.

    The cells that are not `needed` share a budget of time, and do not take that of the others; when it's spent they are skipped.
    """

    def __init__(
        self, cells: list[tuple[str, str]], limits: Limits, judged: Judgement, *, trusted: bool, needed: Collection[str]
    ):
        self.cells, self.limits, self.judged, self.trusted = cells, limits, judged, trusted
        self.needed, self.own_seconds = needed, limits.own
        self.skipped: set[str] = set()
        self.starts = 0
        self.cpu_seconds = 0.0
        self.keeps_outputs = True
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
                if name not in self.needed and self.own_seconds <= 0:
                    self.skipped.add(name)
                    self.judged.outputs.setdefault(name, [_stopped_output("own")])
                    continue
                stopped = self._cell(name, code)
                if stopped:
                    self.skipped.add(name)
                    if self.keeps_outputs:
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
        context.setsockopt(zmq.RCVHWM, QUEUE)
        context.setsockopt(zmq.LINGER, 0)
        context.setsockopt(zmq.SNDTIMEO, SENDING)  # a socket that nobody is connected to any more never sends
        self.client = BlockingKernelClient(context=context)
        self.client.load_connection_info(self.kernel.connection)  # type: ignore[arg-type]
        self.client.start_channels(stdin=False, hb=False)
        try:
            self.client.wait_for_ready(timeout=30)
        except (RuntimeError, zmq.ZMQError) as error:
            raise SandboxError(f"the kernel does not answer: {error}") from error

    def close(self, reason: str | None = None) -> None:
        """Ends the kernel."""
        if self.client is not None:
            self.client.stop_channels()
            self.client.context.destroy(linger=0)
        if self.kernel is not None:
            self.kernel.kill(reason or "dead")
            self.cpu_seconds += self.kernel.cpu_seconds()
            self.kernel.close()
            self.judged.peak_mb = max(self.judged.peak_mb, self.kernel.peak / 1e6)
        if reason:
            self.judged.stops.append(reason)
        self.kernel = self.client = None

    def _cell(self, name: str, code: str) -> str | None:
        outputs: list[dict[str, Any]] = []
        if self.keeps_outputs:
            self.judged.outputs[name] = outputs
        began, needed = time.monotonic(), name in self.needed
        if not needed:
            self.end += self.limits.cell
        _, stopped = self._execute(
            code, {}, self.limits.cell if needed else min(self.limits.cell, self.own_seconds), outputs
        )
        if stopped is None:  # a kernel that this cell has ended, and that dies a moment later, is this cell's doing
            _, stopped = self._execute("", {}, self.limits.cell, None)
        if not needed:
            taken = time.monotonic() - began
            self.own_seconds -= taken
            self.end += taken - self.limits.cell
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
            return plain_answer(json.loads(reply["user_expressions"]["answer"]["data"][ANSWER]))
        except (KeyError, TypeError, ValueError, RecursionError):
            self.close("protocol")  # a kernel that answers so once is asked nothing more
            return {"stopped": "protocol"}

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
        outs, replies = self.client.iopub_channel.socket, self.client.shell_channel.socket
        try:
            number = self.client.execute(
                code, silent=outputs is None, store_history=False, user_expressions=asked, allow_stdin=False
            )
            while not (replied and idle):
                if self.kernel.stopped or self.kernel.process.poll() is not None:
                    return {}, self.kernel.why()
                if time.monotonic() > patience:
                    return {}, "output" if replied else "time"
                ready, _, _ = zmq.select([outs] if replied else [outs, replies], [], [], 0.1)
                if replies in ready:
                    message = self.client.get_shell_msg(timeout=0)
                    if message["parent_header"].get("msg_id") == number:
                        # a message that is too large cuts the channel of outputs, and the idle state never comes
                        content, replied, patience = message["content"], True, min(end, time.monotonic() + GRACE)
                if outs not in ready:
                    continue
                message = self.client.get_iopub_msg(timeout=0)
                if message["parent_header"].get("msg_id") != number:
                    continue
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    idle = True
                elif outputs is not None:
                    written += len(str(message["content"])[: self.limits.output + 1])
                    if written > self.limits.output:
                        return {}, "output"
                    outputs += shown(message["msg_type"], message["content"])
        except zmq.ZMQError:
            return {}, "dead" if self.kernel.process.poll() is None else self.kernel.why()
        except Exception:  # whatever a message does to those who read it
            return {}, "protocol"
        return (content, None) if isinstance(content, dict) else ({}, "protocol")


def _stopped_output(reason: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stderr", "text": " / ".join(STOPPED[reason].values()) + "\n"}
