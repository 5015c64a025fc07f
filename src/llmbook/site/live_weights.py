"""The weights of the live figures as scripts for the page: packed once, kept while nothing that they are made of changes.

Book: §0
"""

import hashlib
import json
from pathlib import Path

from llmbook import paths
from llmbook.atomic import write_text

PACKING = Path(__file__).with_name("packing.py")
NAMES = ("pinyin", "translator")


def live_weights(folder: Path) -> list[Path]:
    """Brings the scripts `folder/NAME.js` up to date and returns them."""
    scripts = []
    for name in NAMES:
        script = folder / f"{name}.js"
        mark = f"// {key(name)}\n"
        if not script.exists() or not script.read_text(encoding="utf-8").startswith(mark):
            write_text(script, mark + packed(name))
        scripts.append(script)
    return scripts


def key(name: str) -> str:
    """A hash of the stored files and the packing code."""
    digest = hashlib.sha256(PACKING.read_bytes())
    for path in sorted((paths.data_dir() / "weights" / name).iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def packed(name: str) -> str:
    """The script of one model with what its figure needs of the tokenizers."""
    from llmbook.generation import load_transcriber, load_translator  # brings torch, which an unchanged site needs not
    from llmbook.site import packing

    if name == "pinyin":
        transcriber = load_transcriber()
        model = transcriber.model
        extra = {"characters": transcriber.characters.symbols, "syllables": transcriber.syllables.symbols}
    else:
        model = load_translator().model
        tokenizer = paths.data_dir() / "weights" / name / "tokenizer.json"
        extra = {"tokenizer": json.loads(tokenizer.read_text(encoding="utf-8"))}
    return packing.pack(dict(model.named_parameters()), model.config, name=name, extra=extra)
