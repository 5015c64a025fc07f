"""One update by hand; options against their definitions; an interrupted run equals one that was not, bit for bit."""

import pytest
import torch
from torch import nn

from llmbook import seeding
from llmbook.training import (
    Checkpoints,
    MeanLoss,
    cross_entropy,
    fit,
    load_checkpoint,
    save_checkpoint,
    token_loss,
    warmup_cosine,
)


class Scalar(nn.Module):
    """x ↦ w · x with w = 1 at first."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))


def numbers(step):
    return torch.tensor([1.0, 2.0, 3.0, 4.0])[step % 4]


def product(model, x):
    return model.w * x  # its gradient is x


def new_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Tanh(), nn.Linear(16, 2))


def points(step):
    rng = seeding.generator(0, step)
    x = torch.randn(8, 4, generator=rng)
    return x, x[:, :2].sin()


def squared_error(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def trained(max_steps, *, seed=5, **options):
    model = new_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    history = fit(model, points, loss=squared_error, optimizer=optimizer, max_steps=max_steps, seed=seed, **options)
    return model, history


def rate(step):
    return warmup_cosine(step, peak=0.1, warmup_steps=3, total_steps=12)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_two_updates_by_hand():
    model = Scalar()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    history = fit(
        model, numbers, loss=product, optimizer=optimizer, schedule=lambda s: [0.1, 0.2][s], max_steps=2, seed=0
    )
    # w: 1 → 1 − 0.1 · 1 = 0.9 → 0.9 − 0.2 · 2 = 0.5
    assert model.w.item() == pytest.approx(0.5)
    assert history.losses == pytest.approx((1.0, 1.8))
    assert history.learning_rates == (0.1, 0.2)
    assert history.grad_norms == (1.0, 2.0)
    assert len(history.seconds) == 2
    assert min(history.seconds) > 0


def test_without_a_schedule_the_rate_is_the_optimizers():
    model = Scalar()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    assert fit(model, numbers, loss=product, optimizer=optimizer, max_steps=1, seed=0).learning_rates == (0.3,)


def test_clipping_binds_only_above_its_bound_and_the_norm_is_recorded_before():
    model = Scalar()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    history = fit(model, numbers, loss=product, optimizer=optimizer, max_steps=3, clip=2, seed=0)
    assert model.w.item() == pytest.approx(1 - 1 - 2 - 2)
    assert history.grad_norms == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_the_norm_is_a_single_one_and_does_not_overflow(dtype):
    model = nn.Linear(4, 1, bias=False).to(dtype)
    nn.init.zeros_(model.weight)
    rows = torch.full((1, 4), 60_000.0, dtype=dtype)  # float16 ends at 65,504
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    history = fit(model, lambda _: rows, loss=lambda m, x: m(x).sum(), optimizer=optimizer, max_steps=1, clip=1, seed=0)
    assert history.grad_norms == (2 * rows[0, 0].item(),)
    assert model.weight.tolist() == [[-0.5] * 4]
    assert model.weight.dtype == dtype


def test_accumulation_takes_the_mean_over_consecutive_batches():
    model = Scalar()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    history = fit(model, numbers, loss=product, optimizer=optimizer, max_steps=2, accumulate=2, seed=0)
    # means of (1, 2) and of (3, 4)
    assert history.grad_norms == (1.5, 3.5)
    assert history.losses == pytest.approx((1.5, -0.5 * 3.5))
    assert model.w.item() == pytest.approx(1 - 1.5 - 3.5)


def test_two_halves_accumulated_are_the_whole_batch():
    def halves(part):
        x, y = points(part // 2)
        return x.chunk(2)[part % 2], y.chunk(2)[part % 2]

    outcomes = []
    for batches, accumulate in ((points, 1), (halves, 2)):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(model, batches, loss=squared_error, optimizer=optimizer, max_steps=3, accumulate=accumulate, seed=0)
        outcomes.append(model.weight.detach())
    torch.testing.assert_close(*outcomes, atol=1e-6, rtol=1e-6)


# Sentences of 9, 1, 4, 2, 7 and 3 tokens, as one batch and as four: one, three, one and one of them, 9, 7, 7 and 3 tokens.
LENGTHS = torch.tensor([9, 1, 4, 2, 7, 3])
PIECES = ([0], [1, 2, 3], [4], [5])


def sentences(rows):
    token_ids = torch.randint(11, (len(LENGTHS), 10), generator=seeding.generator(3))
    targets = token_ids[:, 1:].masked_fill(torch.arange(9) >= LENGTHS[:, None], -100)
    return token_ids[rows, :-1], targets[rows]


def one_update(loss, *, accumulate, dtype, autocast=None):
    """The loss and all gradients of an update, on the six sentences at once or in four batches."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(11, 16), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 11)).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rows = PIECES if accumulate > 1 else [[row for piece in PIECES for row in piece]]
    history = fit(
        model,
        lambda part: sentences(rows[part]),
        loss=lambda model, batch: loss(model(batch[0]), batch[1]),
        optimizer=optimizer,
        max_steps=1,
        accumulate=accumulate,
        autocast=autocast,
        seed=0,
    )
    return history, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_batches_of_different_size_accumulated_are_the_one_big_batch(dtype, tolerance):
    (whole, expected), (parts, found) = (one_update(token_loss, accumulate=n, dtype=dtype) for n in (1, 4))
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    assert parts.losses == pytest.approx(whole.losses, abs=tolerance)
    assert parts.grad_norms == pytest.approx(whole.grad_norms, abs=tolerance)


def test_under_autocast_too_but_for_the_rounding_of_bfloat16():
    settings = {"dtype": torch.float32, "autocast": torch.bfloat16}
    (whole, expected), (parts, found) = (one_update(token_loss, accumulate=n, **settings) for n in (1, 4))
    # each batch's gradient is rounded on its way back, by 2⁻⁹ of it at most, in each of four products
    assert (found - expected).norm() < 4 * 2**-9 * expected.norm()
    assert parts.losses == pytest.approx(whole.losses, abs=1e-6)


def test_the_mean_of_means_is_far_from_it():
    """What `fit` did with each loss, and does with one that doesn't say its count (transformers PR 34191, torchtune PR 1875)."""
    (whole, expected), (parts, found) = (one_update(cross_entropy, accumulate=n, dtype=torch.float64) for n in (1, 4))
    assert (found - expected).norm() > 0.1 * expected.norm()
    assert abs(parts.losses[0] - whole.losses[0]) > 1e-3


def test_one_token_of_loss_4_and_three_of_mean_1_are_of_mean_1_75():
    model = Scalar()
    batches = [(4.0, 1), (1.0, 3)]
    history = fit(
        model,
        lambda part: batches[part],
        loss=lambda model, batch: MeanLoss(model.w * batch[0], batch[1]),
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        max_steps=1,
        accumulate=2,
        seed=0,
    )
    assert history.losses == history.grad_norms == (1.75,)  # and not 2.5


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_a_count_changes_nothing_bit_for_bit_where_nothing_is_accumulated(autocast):
    settings = {"accumulate": 1, "dtype": torch.float32, "autocast": autocast}
    (history, found), (expected_history, expected) = (one_update(f, **settings) for f in (token_loss, cross_entropy))
    assert torch.equal(found, expected)
    assert history.losses == expected_history.losses
    assert history.grad_norms == expected_history.grad_norms


def test_the_seed_fixes_dropout():
    (first, history), (again, same), (other, _) = trained(3), trained(3), trained(3, seed=6)
    assert same_weights(first, again)
    assert history.losses == same.losses
    assert not same_weights(first, other)


def test_the_model_is_put_into_training_mode_at_each_update():
    model = new_model()
    modes = []

    def loss(model, batch):
        modes.append(model.training)
        return squared_error(model, batch)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model.eval(), points, loss=loss, optimizer=optimizer, max_steps=3, seed=0, on_step=lambda *_: model.eval())
    assert modes == [True] * 3


def test_autocast_computes_products_in_the_given_type():
    seen = []

    def loss(model, batch):
        output = model(batch[0])
        seen.append(output.dtype)
        return (output.float() - batch[1]).square().mean()

    for autocast in (None, torch.bfloat16):
        model = new_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(model, points, loss=loss, optimizer=optimizer, max_steps=1, autocast=autocast, seed=0)
        assert model[0].weight.dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16]


def test_on_step_sees_each_update():
    seen = []
    _, history = trained(4, on_step=lambda step, loss: seen.append((step, loss)))
    assert seen == list(enumerate(history.losses))


def test_it_learns():
    losses = trained(300)[1].losses
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


class InterruptionError(Exception):
    pass


def interrupt_at(bad_step):
    def on_step(step, _loss):
        if step == bad_step:
            raise InterruptionError

    return on_step


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_interrupted_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, autocast, accumulate):
    options = {"schedule": rate, "clip": 0.5, "accumulate": accumulate, "autocast": autocast}
    whole, expected = trained(12, **options)
    plan = Checkpoints(tmp_path, every=5)
    with pytest.raises(InterruptionError):
        trained(12, checkpoint=plan, on_step=interrupt_at(7), **options)
    assert load_checkpoint(tmp_path).step == 5
    steps = []
    torch.rand(100)  # whatever was drawn in between
    again, history = trained(12, checkpoint=plan, on_step=lambda step, _: steps.append(step), **options)
    assert steps == list(range(5, 12))
    assert same_weights(again, whole)
    assert history.losses == expected.losses
    assert history.learning_rates == expected.learning_rates
    assert history.grad_norms == expected.grad_norms
    assert len(history.seconds) == 12


def test_a_resumed_run_that_forgot_the_generators_or_the_optimizer_would_differ(tmp_path, monkeypatch):
    """The test above can fail: without either part of the state its comparison is false."""
    whole, _ = trained(8)
    for forgotten in ("restore_generators", "optimizer"):
        folder = tmp_path / forgotten
        trained(4, checkpoint=folder)
        with monkeypatch.context() as patch:
            if forgotten == "optimizer":
                patch.setattr(torch.optim.AdamW, "load_state_dict", lambda *_: None)
            else:
                patch.setattr("llmbook.training.loop.restore_generators", lambda _: None)
            assert not same_weights(trained(8, checkpoint=folder)[0], whole)


def test_a_plain_folder_saves_at_the_end_and_goes_on(tmp_path):
    whole, expected = trained(6)
    trained(4, checkpoint=tmp_path)
    assert load_checkpoint(tmp_path).step == 4
    again, history = trained(6, checkpoint=str(tmp_path))
    assert same_weights(again, whole)
    assert history.losses == expected.losses


def test_a_finished_run_is_given_back_without_training(tmp_path):
    finished, expected = trained(4, checkpoint=tmp_path)
    again, history = trained(4, checkpoint=tmp_path, on_step=interrupt_at(0))
    assert same_weights(again, finished)
    assert history == expected


NAN, INF = float("nan"), float("inf")


def diverging(step, *, loss=NAN, gradient=NAN):
    """A batch of ones, and from the number `step` on one whose loss and gradient are these."""

    class Spoiled(torch.autograd.Function):
        @staticmethod
        def forward(_, w):
            return w.new_tensor(loss)

        @staticmethod
        def backward(_, grad):
            return torch.full_like(grad, gradient)

    return lambda number: Spoiled.apply if number >= step else torch.mul


def apply(model, function):
    return function(model.w) if function is not torch.mul else model.w * 1.0


@pytest.mark.messages
@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"loss": NAN}, "the loss is nan"),
        ({"loss": INF}, "the loss is inf"),
        ({"loss": 1.0, "gradient": NAN}, "the gradient's norm is nan"),
        ({"loss": 1.0, "gradient": -INF}, "the gradient's norm is inf"),
    ],
)
@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_diverging_run_stops_before_the_update_and_says_where_it_can_go_on(tmp_path, spoiled, said, clip, accumulate):
    options = {"loss": apply, "max_steps": 9, "clip": clip, "accumulate": accumulate, "seed": 0}
    batches = diverging(5 * accumulate - (accumulate - 1), **spoiled)  # the last of update 4 or the first of update 5
    first_bad = (5 * accumulate - (accumulate - 1)) // accumulate
    for checkpoint, where in (
        (None, "there is no checkpoint"),
        (Checkpoints(tmp_path / "never", every=7), "there is no checkpoint"),
        (Checkpoints(tmp_path / "some", every=2), "the last checkpoint is .*step-000004"),
    ):
        model = Scalar()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        weights = []
        with pytest.raises(ValueError, match=f"at step {first_bad} of 9 .*: {said}, .*{where}"):
            fit(
                model,
                batches,
                optimizer=optimizer,
                checkpoint=checkpoint,
                on_step=lambda *_, model=model, weights=weights: weights.append(model.w.item()),
                **options,
            )
        assert len(weights) == first_bad
        assert model.w.item() == weights[-1]  # the bad gradient has not reached it
    assert load_checkpoint(tmp_path / "some").step == 4
    assert load_checkpoint(tmp_path / "some").model["w"].isfinite()


@pytest.mark.messages
def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    """The loss looks only at w; an optimizer's step spoils what it does not look at."""
    model = Scalar()
    model.other = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def on_step(step, _):
        if step == 2:
            model.other.data[1] = NAN

    options = {"loss": product, "optimizer": optimizer, "max_steps": 4, "seed": 0, "on_step": on_step}
    with pytest.raises(ValueError, match=r"at step 3 of 4 .*: other is nan, so this model is not saved; .*step-000002"):
        fit(model, numbers, checkpoint=Checkpoints(tmp_path, every=2), **options)
    assert load_checkpoint(tmp_path).step == 2


@pytest.mark.messages
@pytest.mark.parametrize("rate", [NAN, INF, -0.1, None])
def test_a_rate_that_is_none_is_named(rate):
    model = Scalar()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(ValueError, match=f"schedule\\(1\\) is {rate}; expected a finite learning rate >= 0"):
        fit(
            model,
            numbers,
            loss=product,
            optimizer=optimizer,
            schedule=lambda s: rate if s else 0.5,
            max_steps=2,
            seed=0,
        )
    assert model.w.item() == 0.5


@pytest.mark.messages
def test_what_there_is_to_train_is_looked_at_first():
    model, empty, frozen = Scalar(), nn.ReLU(), Scalar()
    frozen.w.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for wrong, message in (
        (empty, "the model has no parameter that requires a gradient"),
        (frozen, "the model has no parameter that requires a gradient"),
        (Scalar(), "the optimizer holds none of the model's parameters"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(wrong, numbers, loss=product, optimizer=optimizer, max_steps=1, seed=0)


@pytest.mark.messages
def test_mistakes_are_named(tmp_path):
    for option, message in (
        ({"max_steps": 0}, "max_steps is 0; expected at least 1"),
        ({"max_steps": 2.5}, "max_steps is 2.5; expected at least 1, an integer"),
        ({"max_steps": True}, "max_steps is True; expected at least 1, an integer"),
        ({"accumulate": 0}, "accumulate is 0; expected at least 1"),
        ({"accumulate": 1.0}, "accumulate is 1.0; expected at least 1, an integer"),
        ({"clip": 0.0}, "clip is 0.0; expected a finite number > 0"),
        ({"clip": -1}, "clip is -1; expected a finite number > 0"),
        ({"clip": NAN}, "clip is nan; expected a finite number > 0"),
        ({"clip": INF}, "clip is inf; expected a finite number > 0"),
        ({"schedule": 0.1}, "schedule is a float; expected a function"),
        ({"on_step": 1}, "on_step is a int; expected a function"),
        ({"checkpoint": Checkpoints(tmp_path / "no", every=0)}, "every is 0; expected at least 1"),
        ({"checkpoint": Checkpoints(tmp_path / "no", config={"a": {1}})}, "config.json can't hold"),
        ({"checkpoint": Checkpoints(tmp_path / "no", tokenizer="words")}, "tokenizer is a str; expected a Tokenizer"),
    ):
        seen = []
        with pytest.raises(ValueError, match=message):
            trained(**{"max_steps": 1, "on_step": lambda *_, seen=seen: seen.append(0), **option})
        assert not seen
    model = Scalar()
    options = {"optimizer": torch.optim.SGD(model.parameters(), lr=1.0), "max_steps": 1, "seed": 0}
    with pytest.raises(ValueError, match="batches is a list; expected a function"):
        fit(model, [1.0], loss=product, **options)
    with pytest.raises(ValueError, match="loss is a Tensor; expected a function"):
        fit(model, numbers, loss=model.w * 2, **options)
    trained(3, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="has 3 updates already; max_steps is 2"):
        trained(2, checkpoint=tmp_path)
    model = nn.Linear(4, 2)
    options = {"loss": squared_error, "max_steps": 4, "seed": 0, "checkpoint": tmp_path}
    with pytest.raises(ValueError, match=r"step-000003 is that of another model: (.|\n)*Missing key"):
        fit(model, points, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), **options)
    model = new_model()
    with pytest.raises(ValueError, match="step-000003 is that of another optimizer: "):
        fit(model, points, optimizer=torch.optim.SGD(list(model.parameters())[:1], lr=0.1), **options)
    saved = load_checkpoint(tmp_path).folder
    (saved / "optimizer.safetensors").unlink()
    with pytest.raises(ValueError, match="no optimizer state"):
        trained(4, checkpoint=tmp_path)
    save_checkpoint(tmp_path, model=new_model(), config=None, step=3)
    with pytest.raises(ValueError, match=r"step-000003b was not saved by fit: it holds no record of 3 updates"):
        trained(4, checkpoint=tmp_path)


@pytest.mark.messages
def test_a_loss_that_is_no_mean_is_named():
    for wrong, message in (
        (lambda model, x: model.w * torch.ones(3), r"a loss of shape \(3,\); expected a scalar"),
        (lambda model, x: MeanLoss(model.w, 0), "a mean over 0 things; expected at least 1"),
        (lambda model, x: 1.0, "a float; expected a scalar tensor or a MeanLoss"),
        (lambda model, x: None, "a NoneType; expected a scalar tensor or a MeanLoss"),
        (
            lambda model, x: (model.w * x).detach(),
            "a loss of torch.float32, requires_grad False; expected a real number that follows from",
        ),
        (lambda model, x: torch.tensor(1), "requires_grad False; expected"),
        (lambda model, x: MeanLoss(model.w.detach(), 1), "requires_grad False; expected"),
        (lambda model, x: MeanLoss(model.w * torch.ones(2), 2), r"a loss of shape \(2,\); expected a scalar"),
        (lambda model, x: MeanLoss(1.0, 2), "a float; expected a scalar tensor or a MeanLoss"),
        (lambda model, x: MeanLoss(model.w, NAN), "a mean over nan things; expected at least 1"),
        (lambda model, x: MeanLoss(model.w, INF), "a mean over inf things; expected at least 1"),
        (
            lambda model, x: model.w * torch.tensor(1j),
            "a loss of torch.complex64, requires_grad True; expected a real number",
        ),
    ):
        model = Scalar()
        with pytest.raises(ValueError, match=message):
            fit(model, numbers, loss=wrong, optimizer=torch.optim.SGD(model.parameters(), lr=1.0), max_steps=1, seed=0)
