"""Nyström attention against Transformers' Nystromformer, and where its results depend on the batch."""

import pytest
import torch
from einops import rearrange
from inputs import close, random_inputs

from llmbook.nn import nystrom_attention, scaled_dot_product_attention

nystromformer = pytest.importorskip(
    "transformers.models.nystromformer.modeling_nystromformer", reason="transformers is not installed"
)

B, T, H, K = 3, 12, 2, 4


def layer(num_landmarks, num_heads=H):
    """Theirs without the convolution."""
    config = nystromformer.NystromformerConfig(
        hidden_size=num_heads * K,
        num_attention_heads=num_heads,
        num_landmarks=num_landmarks,
        segment_means_seq_len=T,
    )
    torch.manual_seed(0)
    module = nystromformer.NystromformerSelfAttention(config).double().eval()
    module.conv_kernel_size = None
    for linear in (module.query, module.key):  # weights far from uniform
        torch.nn.init.normal_(linear.weight)
    return module


def vectors():
    return random_inputs(B, T, H * K, dtype=torch.float64)


def ours(module, x, **options):
    inputs = [rearrange(linear(x), "b t (h k) -> b h t k", k=K) for linear in (module.query, module.key, module.value)]
    attend = nystrom_attention if options else scaled_dot_product_attention
    return rearrange(attend(*inputs, **options), "b h t k -> b t (h k)")


@pytest.mark.parametrize("num_landmarks", [2, 3, 6])
def test_with_the_norms_of_each_matrix(num_landmarks):
    module, x = layer(num_landmarks), vectors()
    module.init_option = "exact"  # their configuration's switch for it fails, as it subscripts the configuration
    close(ours(module, x, num_landmarks=num_landmarks), module(x)[0], 1e-10)
    assert (ours(module, x, num_landmarks=num_landmarks, iterations=3) - module(x)[0]).abs().max() > 1e-3
    given, reference = (x.clone().requires_grad_() for _ in range(2))
    ours(module, given, num_landmarks=num_landmarks).square().sum().backward()
    module(reference)[0].square().sum().backward()
    close(given.grad, reference.grad, 1e-10)


@pytest.mark.parametrize("num_landmarks", [2, 4])
def test_their_default_where_the_batch_is_one_matrix(num_landmarks):
    module, x = layer(num_landmarks, num_heads=1), vectors()[:1, :, :K]
    assert module.init_option == "original"
    close(ours(module, x, num_landmarks=num_landmarks), module(x)[0], 1e-10)


def test_their_default_depends_on_the_batch_and_ours_does_not():
    module, x = layer(4), vectors()
    theirs = torch.cat([module(row)[0] for row in x.split(1)])
    assert (module(x)[0] - theirs).abs().max() > 1e-3
    alone = torch.cat([ours(module, row, num_landmarks=4) for row in x.split(1)])
    close(ours(module, x, num_landmarks=4), alone, 1e-10)


def test_as_many_landmarks_as_positions_is_exact_attention_in_theirs():
    module, x = layer(T), vectors()
    close(ours(module, x), module(x)[0], 1e-10)
