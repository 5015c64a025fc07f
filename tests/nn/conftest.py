"""What tests of layers share."""

import jaxtyping
import pytest


@pytest.fixture
def unhooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shape hook, which torch.compile and torch.export cannot see through."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
