"""Schedules at their landmarks, against torch's scheduler and the paper's figure."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmbook.training import inverse_sqrt, warmup_cosine

SMALL = {"peak": 1.0, "warmup_steps": 4, "total_steps": 12, "floor": 0.2}


def test_warmup_cosine_by_hand():
    rates = [warmup_cosine(step, **SMALL) for step in range(14)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[8] == pytest.approx(0.6)  # half way down
    assert rates[11] > rates[12] == rates[13] == 0.2
    assert rates[6] == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)


def test_without_warmup_it_is_torchs_cosine_annealing():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.1)
    for step in range(10):
        ours = warmup_cosine(step, peak=0.3, warmup_steps=0, total_steps=10, floor=0.1)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        scheduler.step()


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 120))
def test_warmup_cosine_stays_between_floor_and_peak_and_only_falls_after_warmup(warmup, more, step):
    settings = {"peak": 2, "warmup_steps": warmup, "total_steps": warmup + more, "floor": 0}
    here, next_ = warmup_cosine(step, **settings), warmup_cosine(step + 1, **settings)
    assert 0 <= here <= 2
    assert next_ > here if step + 1 < warmup else next_ <= here


def test_the_transformers_own_schedule_peaks_where_the_paper_says():
    rates = [inverse_sqrt(step, d_model=512) for step in range(12_000)]
    assert max(rates) == rates[3999] == pytest.approx(6.988e-4, abs=5e-8)
    assert rates[0] == pytest.approx(rates[3999] / 4000)
    assert rates[1999] == pytest.approx(rates[3999] / 2)
    assert rates[11_999] == pytest.approx(rates[3999] / math.sqrt(3))


def test_width_scales_it_by_the_inverse_root():
    narrow, wide = inverse_sqrt(7, d_model=128, warmup_steps=10), inverse_sqrt(7, d_model=512, warmup_steps=10)
    assert narrow == pytest.approx(2 * wide)


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="step is -1; expected at least 0"):
        warmup_cosine(-1, **SMALL)
    for wrong in ({"peak": math.nan}, {"peak": -1.0}, {"floor": math.inf}, {"floor": math.nan}):
        name, value = next(iter(wrong.items()))
        with pytest.raises(ValueError, match=f"finite and not negative; got .*{name} {value}"):
            warmup_cosine(0, **{**SMALL, **wrong})
    with pytest.raises(ValueError, match=r"warmup_steps is 2\.5; expected at least 0, an integer"):
        warmup_cosine(0, **{**SMALL, "warmup_steps": 2.5})
    with pytest.raises(ValueError, match="warmup_steps 5, total_steps 4"):
        warmup_cosine(0, peak=1.0, warmup_steps=5, total_steps=4)
    with pytest.raises(ValueError, match="step is -1; expected at least 0"):
        inverse_sqrt(-1, d_model=8)
    with pytest.raises(ValueError, match="d_model is 0"):
        inverse_sqrt(0, d_model=0)
    with pytest.raises(ValueError, match="warmup_steps is 0"):
        inverse_sqrt(0, d_model=8, warmup_steps=0)
