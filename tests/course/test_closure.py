"""The files that some code depends on."""

from llmbook.course.closure import PACKAGES, import_closure, imported


def test_it_covers_what_the_imported_modules_import():
    reached = {path.as_posix() for path in import_closure(["from llmbook.notebook import claim", "import math"])}
    assert "llmbook/notebook/claims.py" in reached
    assert "llmbook/receipts.py" in reached, "what an imported module imports counts too"
    assert not any(path.startswith("llmbook/course") for path in reached)
    assert all((PACKAGES / path).is_file() for path in reached)


def test_code_that_imports_nothing_of_the_package_reaches_nothing():
    assert import_closure(["import torch", "x = 1"]) == set()


def test_names_of_every_form_of_import_are_seen():
    code = "import a.b, c\nfrom d import e as f\ndef g():\n    from h.i import j"
    assert imported(code) == {"a.b", "c", "d", "d.e", "h.i", "h.i.j"}
