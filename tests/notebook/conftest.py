"""Outside a notebook, `display` only prints; these tests give it a shell to display in."""

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(autouse=True, scope="session")
def _shell():
    InteractiveShell.instance()
    yield
    InteractiveShell.clear_instance()
