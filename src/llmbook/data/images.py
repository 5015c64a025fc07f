"""Small pictures with words: emoji, each with labels and tags in Chinese and English.

Book: §8.1.1
"""

from dataclasses import dataclass

import datasets
import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from llmbook.assets import vendored
from llmbook.data.corpora import read_table

SHEET, LABELS = "emoji/sheet.png", "emoji/labels.jsonl.gz"
SIZE = 32


@dataclass(frozen=True)
class Emoji:
    """Pictures in red, green, blue and opacity, and in the same order the table emoji, category, zh, zh_tags, en, en_tags."""

    images: UInt8[Tensor, "picture height width 4"]
    labels: datasets.Dataset


def load_emoji() -> Emoji:
    """1,641 emoji of 32 × 32 pixels, without flags and variants by skin tone; no network is used.

    The pictures are Google's Noto Emoji (Apache-2.0), the labels are those of Unicode's CLDR by emojibase (MIT); see
    `data/emoji/LICENSE.md`. Where a picture is transparent its colours mean nothing: lay it on a background first.

    Raises:
        ValueError: a file that is missing or changed.
    """
    labels = read_table([LABELS])
    with Image.open(vendored(SHEET)) as sheet:
        pixels = torch.from_numpy(np.array(sheet))
    images = rearrange(pixels, "(row h) (column w) rgba -> (row column) h w rgba", h=SIZE, w=SIZE)
    return Emoji(images[: labels.num_rows].contiguous(), labels)
