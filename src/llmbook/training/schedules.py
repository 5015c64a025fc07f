"""Learning rates that rise first and fall afterwards. Step 0 is the first update.

Book: §1.4.2
"""

import math

from llmbook.checks import require_at_least, require_positive


def warmup_cosine(step: int, *, peak: float, warmup_steps: int, total_steps: int, floor: float = 0.0) -> float:
    """Linear warm-up, then half a cosine down to the floor (Loshchilov and Hutter 2017, equation 5, without restarts).

    peak · (step + 1) / w while step < w, then floor + (peak − floor) · (1 + cos(π · (step − w) / (n − w))) / 2, with w = `warmup_steps`
    and n = `total_steps`; the floor is reached at step n and kept.

    Raises:
        ValueError: a negative step, not 0 ≤ warmup_steps ≤ total_steps, a peak or floor that is negative or not finite.
    """
    require_at_least(0, step=step, warmup_steps=warmup_steps, total_steps=total_steps)
    if warmup_steps > total_steps or not 0 <= peak < math.inf or not 0 <= floor < math.inf:
        raise ValueError(
            f"expected warmup_steps <= total_steps and a peak and floor that are finite and not negative; "
            f"got warmup_steps {warmup_steps}, total_steps {total_steps}, peak {peak}, floor {floor}"
        )
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if step >= total_steps:
        return float(floor)
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return floor + (peak - floor) * (1 + math.cos(math.pi * progress)) / 2


def inverse_sqrt(step: int, *, d_model: int, warmup_steps: int = 4000) -> float:
    """The Transformer's own schedule, d_model^−½ · min(s^−½, s · warmup_steps^−1.5), with s = step + 1 (Vaswani et al. 2017, equation 3).

    It peaks at s = warmup_steps: at 6.988e-4 for d_model = 512 and 4,000 steps.

    Raises:
        ValueError: a negative step, d_model < 1 or warmup_steps < 1.
    """
    require_at_least(0, step=step)
    require_positive(d_model=d_model, warmup_steps=warmup_steps)
    number = step + 1
    return d_model**-0.5 * min(number**-0.5, number * warmup_steps**-1.5)
