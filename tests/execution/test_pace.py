"""How fast the machine is, beside that of reference."""

import time

import pytest
import torch

from llmbook.execution import pace


def test_a_machine_on_which_the_work_takes_longer_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "work", lambda: time.sleep(0.1))
    assert pace.slowness() == pytest.approx(0.1 * pace.REPEATS / pace.REFERENCE_SECONDS, rel=0.5)


def test_the_number_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    assert pace.slowness() > 0
    assert torch.get_num_threads() == before
