"""Each picture belongs to its label: by colours that the labels name, and none is empty or there twice by mistake."""

from functools import cache

import pytest
import torch

from llmbook.data import load_emoji


@cache
def emoji():
    return load_emoji()


def picture(english):
    return emoji().images[emoji().labels["en"][:].index(english)]


def mean_colour(english):
    """Red, green and blue where the picture is opaque."""
    pixels = picture(english).reshape(-1, 4).float()
    return pixels[pixels[:, 3] > 250, :3].mean(0)


def test_shapes_and_labels():
    assert emoji().images.shape == (1641, 32, 32, 4)
    assert emoji().images.dtype == torch.uint8
    assert emoji().images.is_contiguous()
    assert emoji().labels.num_rows == 1641
    assert emoji().labels.column_names == ["emoji", "category", "zh", "zh_tags", "en", "en_tags"]
    assert len(set(emoji().labels["emoji"])) == len(set(emoji().labels["en"])) == 1641
    assert "Flags" not in set(emoji().labels["category"])
    assert all(emoji().labels["en"])
    without_han = [zh for zh in emoji().labels["zh"] if not any("\u4e00" <= character <= "\u9fff" for character in zh)]
    assert without_han == ["OK", "DVD", "DNA"]


def test_no_picture_is_empty_or_hidden():
    opacity = emoji().images[..., 3].float().mean((1, 2))
    assert opacity.min() > 5
    distinct = {image.numpy().tobytes() for image in emoji().images}
    assert len(distinct) > 1600  # a few are drawn alike


@pytest.mark.parametrize("shape", ["circle", "square", "heart"])
@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_pictures_have_the_colours_of_their_labels(shape, colour, channel):
    assert mean_colour(f"{colour} {shape}").argmax() == channel


@pytest.mark.parametrize(
    ("english", "chinese"), [("red apple", "红苹果"), ("panda", "熊猫"), ("fire engine", "消防车")]
)
def test_labels_are_of_the_same_thing(english, chinese):
    row = next(row for row in emoji().labels if row["en"] == english)
    assert row["zh"] == chinese


def test_a_panda_is_white_and_black_and_a_fire_engine_red():
    """Looked at once: the sheet's pictures 619 and 933."""
    panda = picture("panda")[..., :3].float()
    assert (panda.amax(2) - panda.amin(2))[picture("panda")[..., 3] > 250].mean() < 30
    red, green, blue = mean_colour("fire engine")
    assert red > green + 40
    assert red > blue + 40
    assert emoji().labels[619]["en"] == "panda"
    assert emoji().labels[933]["en"] == "fire engine"
