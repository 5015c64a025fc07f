"""nbgrader with the judge in the place of its own execution, and with feedback that needs no network.

`configure(c)` stands in a course's `nbgrader_config.py`. From then on nbgrader's commands and its grading page (formgrader)
run no submitted code: where nbgrader would execute a notebook, the judge does it in a sandbox, and what comes back are texts and a score.

Book: §0
"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import nbgrader.apps.api
import nbgrader.apps.autogradeapp
import nbgrader.apps.generatefeedbackapp
import nbgrader.server_extensions.formgrader.base as formgrader
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader import preprocessors as steps
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import NbGraderPreprocessor
from sqlalchemy.exc import SAWarning
from traitlets import Bool, Unicode
from traitlets.config import Config

from llmbook.atomic import write_text
from llmbook.grading.graded_pages import FeedbackPage, GradingPage
from llmbook.grading.judging import judged_result
from llmbook.grading.submission import TIMESTAMP, cell_name, handed, read_submission


class JudgeInPlace(NbGraderPreprocessor):
    """Fills a notebook's outputs with what the judge found; in the cell of a check, its report and its score."""

    private = Unicode("", help="folder of checks in place of the public ones").tag(config=True)
    trusted = Bool(False, help="run submitted code without a sandbox").tag(config=True)
    take_busy = Bool(False, help="take a result of a busy machine that was just found").tag(config=True)
    cache = Unicode("judged", help="folder of what was judged before").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        plain = json.loads(json.dumps(nb))
        found = judged_result(
            plain, Path(self.cache), private=self.private, trusted=self.trusted, take_busy=self.take_busy
        )
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


class SubmittedNotebook(NotebookExporter):
    """Reads what was submitted as somebody else's, and writes a notebook."""

    released: Path

    def from_file(self, file_stream: Any, resources: Any = None, **kwargs: Any) -> Any:
        path = Path(file_stream.name)
        released = json.loads((self.released / path.name).read_text(encoding="utf-8"))
        return self.from_notebook_node(read_submission(path, released), resources=resources, **kwargs)


class JudgedAutograde(Autograde):
    """nbgrader's autograder, with the judge where it would execute, and a reader that takes nothing but what was released."""

    exporter_class = SubmittedNotebook

    def __init__(self, coursedir: Any = None, **kwargs: Any):
        super().__init__(coursedir=coursedir, **kwargs)
        usual: list[Any] = self.autograde_preprocessors  # type: ignore[has-type]
        self.autograde_preprocessors = [JudgeInPlace if step is steps.Execute else step for step in usual]

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        folder = Path(self._format_source(assignment_id, student_id))
        released = Path(self.coursedir.format_path(self.coursedir.release_directory, ".", assignment_id))
        self.exporter.released = released
        handed(folder, [path.name for path in released.glob("*.ipynb")])
        ignored = self.coursedir.ignore
        self.coursedir.ignore = ["*"]  # no other file of a student's is copied to where pages are served from
        try:
            super().init_assignment(assignment_id, student_id)
        finally:
            self.coursedir.ignore = ignored
        if (folder / TIMESTAMP).is_file():
            target = Path(self._format_dest(assignment_id, student_id))
            target.mkdir(parents=True, exist_ok=True)
            write_text(target / TIMESTAMP, (folder / TIMESTAMP).read_text(encoding="utf-8", errors="replace"))


class OfflineFeedback(GenerateFeedback):
    """nbgrader's feedback through `FeedbackPage`."""

    def __init__(self, coursedir: Any = None, **kwargs: Any):
        super().__init__(coursedir=coursedir, **kwargs)
        self.exporter_class = FeedbackPage


def grading_page(handler: Any) -> GradingPage:
    """The exporter of nbgrader's grading page, in the place of its own; whichever course was opened in it, and when."""
    settings = handler.settings
    if not isinstance(settings["nbgrader_exporter"], GradingPage):
        settings["nbgrader_exporter"] = GradingPage(config=settings["nbgrader_exporter"].config)
    return settings["nbgrader_exporter"]


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
    c.JudgeInPlace.private = private and str((root / private).resolve())
    c.JudgeInPlace.trusted = trusted
    c.JudgeInPlace.cache = str(root / "judged")
    for module in (nbgrader.apps.api, nbgrader.apps.autogradeapp):
        module.Autograde = JudgedAutograde
    for module in (nbgrader.apps.api, nbgrader.apps.generatefeedbackapp):
        module.GenerateFeedback = OfflineFeedback
    formgrader.BaseHandler.exporter = property(grading_page)
