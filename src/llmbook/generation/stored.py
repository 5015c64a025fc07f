"""A trained Transformer as a folder: weights in float16 and its sizes; the tokenizers lie beside them.

Book: §1.2.1
"""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError

from llmbook.atomic import write_text
from llmbook.models import Transformer, TransformerConfig
from llmbook.training.tensor_file import read_tensors, write_tensors

FILES = ("model.safetensors", "config.json")


def store_transformer(folder: Path, model: Transformer) -> None:
    """Writes model.safetensors and config.json; a tied embedding is written once.

    Leaves out: state of optimizer and generators, which going on with the training would need (§6).
    """
    weights, config = (folder / name for name in FILES)
    write_tensors(weights, {name: tensor.half() for name, tensor in model.named_parameters()}, {})
    write_text(config, json.dumps(asdict(model.config), indent=1) + "\n")


def stored_transformer(weights: Path, config: Path) -> Transformer:
    """The model in those files, in evaluation mode, in float32.

    Raises:
        ValueError: a file is missing, changed, cut short, or holds tensors of other names or shapes; the message says which.
    """
    try:
        model = Transformer(TransformerConfig(**json.loads(config.read_text(encoding="utf-8"))))
        tensors, _ = read_tensors(weights)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ValueError(f"{weights.parent} holds no stored Transformer, or a damaged one: {error}") from error
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        name = min(set(expected.items()) ^ set(found.items()))[0]
        raise ValueError(
            f"{weights}: tensor {name} has shape {found.get(name, 'none')}; config.json asks for {expected.get(name, 'none')}"
        )
    for name, parameter in model.named_parameters():
        parameter.data = tensors[name].to(parameter.dtype)
    return model.eval()
