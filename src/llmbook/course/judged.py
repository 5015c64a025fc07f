"""nbgrader with the judge in the place of its own execution, and with feedback that needs no network.

`configure(c)` stands in a course's `nbgrader_config.py`. From then on nbgrader's commands and its grading page (formgrader)
run no submitted code: where nbgrader would execute a notebook, the judge does it in a sandbox, and what comes back are texts and a score.

Book: §0
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import nbgrader.apps.api
import nbgrader.apps.autogradeapp
import nbgrader.apps.generatefeedbackapp
from bs4 import BeautifulSoup
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader import preprocessors as steps
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import NbGraderPreprocessor
from sqlalchemy.exc import SAWarning
from traitlets import Bool, Unicode
from traitlets.config import Config

from llmbook.course.atomic import write_text
from llmbook.course.exercises import exercises
from llmbook.course.judge import JUDGE_SECONDS, cell_name, chapter_of, code_cells
from llmbook.course.sandbox import why_no_sandbox

LARGEST = 5_000_000  # bytes of a submitted notebook
NOTEBOOK = re.compile(r"(\d\d)\.(zh|en)\.ipynb")
MATH = re.compile(r"(?<![\\$])(\$\$?)(?!\s*\$)(.+?)(?<!\\)\1(?!\$)", re.DOTALL)
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


class RefusedError(ValueError):
    """A submission that is not even opened, and why."""


class JudgeFailedError(RuntimeError):
    """The judge did not come to an end; the message is the last that it said."""


def require_openable(folder: Path) -> None:
    """Raises RefusedError unless a submitted folder holds plain files only, its notebooks small enough and in JSON."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RefusedError(f"{path.name} is a link or no plain file; a submission holds plain files only")
        if path.suffix == ".ipynb" and path.stat().st_size > LARGEST:
            raise RefusedError(
                f"{path.name} has {path.stat().st_size / 1e6:.1f} MB; at most {LARGEST / 1e6:.0f} are read"
            )
        if NOTEBOOK.fullmatch(path.name):
            try:
                notebook = json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise RefusedError(f"{path.name} cannot be read as a notebook: {str(error)[:100]}") from error
            if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
                raise RefusedError(f"{path.name} is no notebook: it has no list of cells")


def judged_result(notebook: dict[str, Any], cache: Path, *, private: str = "", trusted: bool = False) -> dict[str, Any]:
    """What the judge finds on a notebook: from `cache`, if the same code was judged by the same checks before.

    The judge runs as a process of its own, under limits of its own.

    Raises:
        RefusedError: there is no sandbox on this machine, and `trusted` was not said.
        JudgeFailedError: the judge ended without a result, or took longer than 15 minutes.
    """
    reason = None if trusted else why_no_sandbox()
    if reason:
        raise RefusedError(
            f"submitted code is not run: {reason}. `--trust` runs it without a sandbox, with your rights"
        )
    try:
        kept = cache / f"{result_key(notebook, private)}.json"
    except ValueError as error:
        raise RefusedError(str(error)) from error
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="llmbook-grade-") as name:
        asked, result = Path(name, "notebook.ipynb"), Path(name, "result.json")
        asked.write_text(json.dumps(notebook), encoding="utf-8")
        request = json.dumps({"private": private, "trusted": trusted})
        command = [sys.executable, "-m", "llmbook.course.judge", str(asked), str(result), request]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=JUDGE_SECONDS, env=environment, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise JudgeFailedError(f"the judge took longer than {JUDGE_SECONDS} s") from error
        if done.returncode != 0 or not result.exists():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise JudgeFailedError(f"the judge ended without a result: {last[:300]}")
        text = result.read_text(encoding="utf-8")
    write_text(kept, text)
    return json.loads(text)


def result_key(notebook: dict[str, Any], private: str) -> str:
    """A hash of everything that a result depends on: the code cells by name, the checks, the judge."""
    asked = json.dumps([chapter_of(notebook), code_cells(notebook), checks_key(private)])
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def checks_key(private: str) -> str:
    """A hash of all exercises, their checks, and the judge."""
    digest = hashlib.sha256()
    for exercise in exercises(private=Path(private) if private else None):
        for folder in (exercise.folder, exercise.checks):
            for path in sorted(folder.rglob("*.*")):
                if path.suffix in (".py", ".toml"):
                    digest.update(path.read_bytes())
    for name in ("guest", "judge", "sandbox", "bubblewrap", "verdicts"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:32]


class Judged(NbGraderPreprocessor):
    """Fills a notebook's outputs with what the judge found; in the cell of a check, its report and its score."""

    private = Unicode("", help="folder of checks in place of the public ones").tag(config=True)
    trusted = Bool(False, help="run submitted code without a sandbox").tag(config=True)
    cache = Unicode("judged", help="folder of what was judged before").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        plain = json.loads(json.dumps(nb))
        found = judged_result(plain, Path(self.cache), private=self.private, trusted=self.trusted)
        lang = nb.metadata.get("llmbook", {}).get("lang", "zh")
        by_slug = {name.partition("/")[2]: one for name, one in found["exercises"].items()}
        for number, cell in enumerate(nb.cells):
            if cell.cell_type != "code":
                continue
            marks = cell.metadata.get("nbgrader", {})
            if marks.get("grade") and not marks.get("solution"):
                one = by_slug.get(marks["grade_id"])
                score = 0 if one is None else one["score"]
                report = "—" if one is None else one["student"][lang]
                cell.outputs = [
                    new_output("display_data", {"text/plain": report}),
                    new_output("execute_result", {"text/plain": f"{float(score)}"}, execution_count=number),
                ]
            else:
                cell.outputs = [NotebookNode(one) for one in found["outputs"].get(cell_name(cell, number), [])]
        return nb, resources


class JudgedAutograde(Autograde):
    """nbgrader's autograder, with the judge where it would execute; links and what is no notebook are refused unread."""

    def __init__(self, coursedir: Any = None, **kwargs: Any):
        super().__init__(coursedir=coursedir, **kwargs)
        usual: list[Any] = self.autograde_preprocessors  # type: ignore[has-type]
        self.autograde_preprocessors = [Judged if step is steps.Execute else step for step in usual]

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        require_openable(Path(self._format_source(assignment_id, student_id)))
        super().init_assignment(assignment_id, student_id)


class OfflineExporter(HTMLExporter):
    """Feedback as one HTML file without a script: formulas are MathML, nothing is fetched."""

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        formulas: list[str] = []

        def keep(match: re.Match[str]) -> str:
            display = "block" if match[1] == "$$" else "inline"
            try:
                formulas.append(convert(match[2], display=display))
            except Exception:  # a formula of a student's may be anything; it is shown as it was written
                return match[0].replace("$", "\\$")
            return f"LLMBOOKMATH{len(formulas) - 1}END"

        for cell in nb.cells:
            if cell.cell_type == "markdown":
                parts = CODE.split(cell.source)
                parts[::2] = [MATH.sub(keep, part) for part in parts[::2]]
                cell.source = "".join(parts)
        page, resources = super().from_notebook_node(nb, resources, **kwargs)
        soup = BeautifulSoup(page, "lxml")
        for tag in soup(["script", "iframe", "object", "embed", "base", "form"]):
            tag.decompose()
        for tag in soup.find_all("link"):
            tag.decompose()
        for tag in soup.find_all("details"):
            tag["open"] = ""
        for tag in soup.find_all(True):
            for name in [
                name for name in tag.attrs if name.startswith("on") or (name == "src" and _fetched(str(tag[name])))
            ]:
                del tag[name]
        if soup.html is not None:
            soup.html["lang"] = {"zh": "zh-CN"}.get(nb.metadata.get("llmbook", {}).get("lang", ""), "en")
        text = re.sub(
            r"LLMBOOKMATH(\d+)END",
            lambda match: formulas[int(match[1])] if int(match[1]) < len(formulas) else "",
            str(soup),
        )
        return text, resources


def _fetched(address: str) -> bool:
    return not address.startswith("data:image/")


class OfflineFeedback(GenerateFeedback):
    """nbgrader's feedback through `OfflineExporter`."""

    def __init__(self, coursedir: Any = None, **kwargs: Any):
        super().__init__(coursedir=coursedir, **kwargs)
        self.exporter_class = OfflineExporter


def configure(c: Config, config_file: str, course_id: str, *, private: str = "", trusted: bool = False) -> None:
    """Sets up nbgrader for a course of this book; called by the course's `nbgrader_config.py`.

    Args:
        c: nbgrader's configuration.
        config_file: the path of `nbgrader_config.py`, beside which everything lies.
        course_id: the course's name in the gradebook.
        private: a folder of checks that takes the place of the public ones.
        trusted: run submitted code without a sandbox. Only for code that you trust as your own.
    """
    warnings.filterwarnings("ignore", category=SAWarning)  # of nbgrader's own way with its tables
    root = Path(config_file).resolve().parent
    tools = str(Path(sys.executable).parent)  # nbgrader calls alembic by name
    if tools not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([tools, os.environ.get("PATH", "")])
    c.CourseDirectory.root = str(root)
    c.CourseDirectory.course_id = course_id
    c.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}?timeout=60"
    c.GenerateAssignment.preprocessors = [
        *(steps.LockCells, steps.ClearOutput, steps.CheckCellMetadata),
        *(steps.ComputeChecksums, steps.SaveCells, steps.CheckCellMetadata),
    ]
    c.OverwriteCells.add_missing_cells = True
    c.HTMLExporter.sanitize_html = True
    c.Judged.private = private and str((root / private).resolve())
    c.Judged.trusted = trusted
    c.Judged.cache = str(root / "judged")
    for module in (nbgrader.apps.api, nbgrader.apps.autogradeapp):
        module.Autograde = JudgedAutograde
    for module in (nbgrader.apps.api, nbgrader.apps.generatefeedbackapp):
        module.GenerateFeedback = OfflineFeedback
