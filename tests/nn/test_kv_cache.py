"""Caches: what they append, what they give back, and how rows are put into another order."""

import pytest
import torch

from llmbook.nn import KVCache, LayerCache, LayerState


def caches(number):
    return [LayerCache() for _ in range(number)]


def numbers(*shape):
    return torch.arange(float(torch.Size(shape).numel())).view(shape)


def test_keys_and_values_are_appended_along_the_length():
    key, value = numbers(2, 3, 5, 4), -numbers(2, 3, 5, 4)
    cache = LayerCache()
    for start, stop in ((0, 2), (2, 3), (3, 3), (3, 5)):
        all_keys, all_values = cache.extend(key[:, :, start:stop], value[:, :, start:stop])
        assert torch.equal(all_keys, key[:, :, :stop])
        assert torch.equal(all_values, value[:, :, :stop])


def test_caches_of_layers_are_apart():
    cache = KVCache(caches(2), 1)
    cache.layers[0].extend(numbers(1, 1, 2, 3), numbers(1, 1, 2, 3))
    assert cache.layers[1].key is None
    assert len(cache.layers) == 2


def test_the_mask_grows_with_the_tokens():
    cache = KVCache(caches(1), 2)
    assert cache.length == 0
    first = torch.tensor([[False, True], [True, True]])
    assert torch.equal(cache.extend_mask(first), first)
    assert cache.extend_mask(torch.tensor([[True], [False]])).tolist() == [[False, True, True], [True, True, False]]
    assert cache.length == 3
    assert cache.mask.dtype == torch.bool


@pytest.mark.parametrize("rows", [[1, 0, 2], [2, 2, 0], [1], [0, 0, 1, 1, 2]])
def test_reordered_rows_are_the_rows_asked_for(rows):
    cache = KVCache(caches(2), 3)
    cache.extend_mask(torch.tensor([[True, True], [False, True], [True, False]]))
    key, value = numbers(3, 1, 2, 4), -numbers(3, 1, 2, 4)
    for layer in cache.layers:
        layer.extend(key, value)
    mask = cache.mask
    cache.reorder(torch.tensor(rows))
    assert torch.equal(cache.mask, torch.stack([mask[r] for r in rows]))
    for layer in cache.layers:
        assert torch.equal(layer.key, torch.stack([key[r] for r in rows]))
        assert torch.equal(layer.value, torch.stack([value[r] for r in rows]))
    assert cache.length == 2


def test_an_empty_cache_can_be_reordered():
    cache = KVCache(caches(1), 2)
    cache.reorder(torch.tensor([1, 1, 0]))
    assert cache.mask.shape == (3, 0)
    assert cache.layers[0].key is None


def test_layers_keep_what_they_are_given():
    layers = [LayerCache(), LayerState()]
    cache = KVCache(layers, 2)
    assert cache.layers[0] is layers[0]
    assert cache.layers[1] is layers[1]
    assert layers[1].state == ()


def test_a_state_is_reordered_part_by_part_whatever_its_class():
    class Named(tuple):
        def __new__(cls, one, two):
            return super().__new__(cls, (one, two))

    cache = KVCache([LayerState(), LayerState()], 3)
    cache.layers[0].state = Named(numbers(3, 2), numbers(3, 1, 4))
    cache.reorder(torch.tensor([2, 0]))
    one, two = cache.layers[0].state
    assert type(cache.layers[0].state) is tuple
    assert torch.equal(one, numbers(3, 2)[[2, 0]])
    assert torch.equal(two, numbers(3, 1, 4)[[2, 0]])
    assert cache.layers[1].state == ()


def test_the_cache_lies_on_the_device_asked_for():
    assert KVCache(caches(1), 2, "meta").mask.is_meta


@pytest.mark.messages
def test_mistakes_are_named():
    cache = KVCache(caches(1), 2)
    with pytest.raises(ValueError, match="made for a batch of 2; got 3 rows"):
        cache.extend_mask(torch.ones(3, 1, dtype=torch.bool))
    layer = LayerCache()
    layer.extend(numbers(2, 3, 5, 4), numbers(2, 3, 5, 4))
    for shape in ((1, 3, 1, 4), (2, 1, 1, 4), (2, 3, 1, 5), (2, 3, 4)):
        message = rf"holds keys of shape \[2, 3, 5, 4\]; got \[{', '.join(map(str, shape))}\]"
        with pytest.raises(ValueError, match=message):
            layer.extend(numbers(*shape), numbers(*shape))
    assert layer.key.shape == (2, 3, 5, 4)
    for rows in ([0, 2], [-1, 0]):
        with pytest.raises(
            ValueError, match=f"rows go from {min(rows)} to {max(rows)}; expected 0 <= row < batch_size = 2"
        ):
            cache.reorder(torch.tensor(rows))


@pytest.mark.messages
def test_sizes_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="batch_size -1"):
        KVCache(caches(1), -1)
    with pytest.raises(ValueError, match="got 0 layers"):
        KVCache([], 1)
