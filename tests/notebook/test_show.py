"""`show` displays the package's own source and nothing else."""

import inspect

import numpy as np
import pytest
from IPython.utils.capture import capture_output

from llmbook.notebook import show
from llmbook.results import Result


def test_the_source_is_shown_as_it_stands():
    with capture_output() as captured:
        show(Result)
    (output,) = captured.outputs
    assert inspect.getsource(Result).rstrip() in output.data["text/markdown"]
    assert output.data["text/plain"] == "llmbook/results.py: Result"


def test_a_method_is_shown_by_itself_at_the_margin():
    with capture_output() as captured:
        show(Result.of)
    (output,) = captured.outputs
    assert output.data["text/plain"] == "llmbook/results.py: Result.of"
    assert "\n    numbers = tuple(" in output.data["text/markdown"]


@pytest.mark.messages
@pytest.mark.parametrize("foreign", [np.mean, 3, "text"])
def test_what_is_not_of_the_package_is_refused(foreign: object):
    with pytest.raises(ValueError, match="show takes a function, class or module of llmbook"):
        show(foreign)
