"""Builds the static site: writes Sphinx sources for each language, runs Sphinx, puts the result in place in one move.

Sources are rewritten only where their bytes change, so an unchanged book takes Sphinx seconds. As soon as one file has
changed, every page is written again (but not read again): only then does Sphinx see that a page refers to a label that
another page lost. A failed build clears Sphinx's cache, which would otherwise forget the warning.

Book: §0
"""

import filecmp
import hashlib
import locale
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from llmbook.atomic import replacing, write_text
from llmbook.site.archive import archive
from llmbook.site.extensions.live import needs
from llmbook.site.pages import Page, cut

LANGUAGES = {"zh": "zh_CN", "en": "en"}
WORDS = {
    "zh": {"references": "参考文献", "back": "附录"},
    "en": {"references": "References", "back": "Appendix"},
}
SPHINX_PAGES = ("genindex", "search")
LEFT_OUT = (".buildinfo*", "objects.inv", "*.map", "locales", "check-solid.svg", "copy-button.svg")
ARCHIVE = "llmbook.zip"
ENTRY = """<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{zh} · {en}</title>
<style>
body {{ font: 1.25rem/1.8 system-ui, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif;
  margin: 20vh auto; max-width: 40rem; padding: 0 1rem; color: #222; background: #fff }}
a {{ color: #0a58a8 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #14181e }} a {{ color: #7cb8f5 }} }}
</style>
<script>
(function () {{
  var language = "en", stored = null;
  try {{ stored = localStorage.getItem("llmbook-language"); }} catch (error) {{ stored = null; }}
  var wanted = stored || (navigator.languages && navigator.languages[0]) || navigator.language || "";
  if (/^zh/i.test(wanted)) language = "zh";
  location.replace(language + "/index.html");
}})();
</script>
</head>
<body>
<p><a href="zh/index.html" lang="zh-CN" hreflang="zh">{zh}</a></p>
<p><a href="en/index.html" lang="en" hreflang="en">{en}</a></p>
</body>
</html>
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """All that the site is made from; every mapping goes from the language ("zh", "en").

    Attributes:
        chapters: executed notebooks in their MyST face, in the book's order.
        pages: the other pages, document name → MyST text, in the book's order; one is "index".
        outline: title and parts, as in `chapters/outline.json`.
        downloads: the readers' notebooks.
        images: the folder of diagrams, which pages name as `/diagrams/….svg`.
        bibliography: the BibTeX file.
        finished: the points that are written, such as "1.2.3".
        settings: the folder of `conf.py`.
        weights: the scripts with the live figures' weights, one for both languages.
        build: the folder that takes `site-src/`, `site-out/` (Sphinx's own) and `html/` (the site).
    """

    chapters: Mapping[str, Sequence[NotebookNode]]
    pages: Mapping[str, Mapping[str, str]]
    outline: Mapping[str, Any]
    downloads: Mapping[str, Sequence[Path]]
    images: Mapping[str, Path]
    bibliography: Path
    finished: Sequence[str]
    settings: Path
    build: Path
    weights: Sequence[Path] = ()


class SiteError(ValueError):
    """Sphinx failed or warned; the message is what it said."""


def build_site(site: Site) -> Path:
    """Builds both languages and returns the site's folder. Until all is well, the site that was there stays as it was.

    Raises:
        ValueError: the two languages have different pages, or a file that is needed is missing.
        SiteError: Sphinx failed or warned.
    """
    sources = {lang: _sources(site, lang) for lang in LANGUAGES}
    names = {lang: {page.docname for page in pages} for lang, pages in sources.items()}
    if names["zh"] != names["en"]:
        raise ValueError(f"pages in one language only: {sorted(names['zh'] ^ names['en'])}")
    key, mark, html = _key(site, sources), site.build / "site-out" / "key", site.build / "html"
    if mark.exists() and mark.read_text(encoding="utf-8") == f"{key} {_extent(html)}":
        return html
    mark.unlink(missing_ok=True)
    changed = {lang: _write_sources(site, lang, sources[lang]) for lang in LANGUAGES}
    running = {lang: _start_sphinx(site, lang, everything=changed[lang]) for lang in LANGUAGES}
    messages = [_finish_sphinx(site, lang, process) for lang, process in running.items()]
    if any(messages):
        raise SiteError("\n".join(message for message in messages if message))
    _publish(site, names["zh"])
    write_text(mark, f"{key} {_extent(html)}")
    return html


def _extent(html: Path) -> str:
    """How many files a built site has, and how many bytes: whether it is still whole."""
    sizes = [path.stat().st_size for path in html.rglob("*") if path.is_file()]
    return f"{len(sizes)} {sum(sizes)}"


def _key(site: Site, sources: dict[str, list[Page]]) -> str:
    """A hash of all that a site is made of: pages, pictures, downloads, weights, settings, and the code that makes it."""
    texts = [[(page.docname, page.suffix, page.text) for page in sources[lang]] for lang in LANGUAGES]
    digest = hashlib.sha256(repr((texts, site.outline["title"], site.finished)).encode())
    folders = [*site.images.values(), site.settings, Path(__file__).parent]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if "__pycache__" not in file.parts]
    files += [site.bibliography, *(file for lang in LANGUAGES for file in site.downloads[lang]), *site.weights]
    for file in filter(Path.is_file, files):
        digest.update(f"\0{file}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _sources(site: Site, lang: str) -> list[Page]:
    notebooks = site.chapters[lang]
    slugs = {notebook.metadata["llmbook"]["chapter"]: notebook.metadata["llmbook"]["slug"] for notebook in notebooks}
    pages = {"references": f"# {WORDS[lang]['references']}\n\n```{{bibliography}}\n```\n", **site.pages[lang]}
    index = pages.pop("index")
    back = [name for name in site.pages[lang] if name != "index"]
    trees = [
        (
            part[lang],
            [f"{slugs[chapter['number']]}/index" for chapter in part["chapters"] if chapter["number"] in slugs],
        )
        for part in site.outline["parts"]
    ]
    trees.append((WORDS[lang]["back"], [*back, *(name for name in pages if name not in back)]))
    contents = "\n\n".join(_toctree(caption, names) for caption, names in trees if names)
    static = [Page(name, ".md", text) for name, text in {"index": f"{index.rstrip()}\n\n{contents}\n", **pages}.items()]
    return [*static, *(page for notebook in notebooks for page in cut(notebook))]


def _toctree(caption: str, names: Iterable[str]) -> str:
    return "\n".join(["```{toctree}", ":maxdepth: 2", f":caption: {caption}", "", *names, "```"])


def _write_sources(site: Site, lang: str, pages: Sequence[Page]) -> bool:
    """Brings `site-src/<lang>` up to date; tells whether anything changed."""
    folder = site.build / "site-src" / lang
    wanted = {folder / f"{page.docname}{page.suffix}" for page in pages}
    changed = any([write_text(folder / f"{page.docname}{page.suffix}", page.text) for page in pages])
    copies = {folder / "references.bib": site.bibliography}
    images = site.images[lang]
    copies |= {folder / "diagrams" / file.relative_to(images): file for file in sorted(images.rglob("*.svg"))}
    changed |= any([_copy(source, target) for target, source in copies.items()])
    return _remove_others(folder, wanted | set(copies)) or changed


def _copy(source: Path, target: Path) -> bool:
    if not source.is_file():
        raise ValueError(f"missing file {source}")
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return False
    with replacing(target) as new:
        shutil.copyfile(source, new)
    return True


def _remove_others(folder: Path, wanted: set[Path]) -> bool:
    others = [path for path in folder.rglob("*") if path.is_file() and path not in wanted]
    for path in others:
        path.unlink()
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
    return bool(others)


def _digest(folder: Path) -> str:
    """A hash of Sphinx extensions, templates, and what scripts need, whose changes Sphinx itself does not see."""
    digest = hashlib.sha256()
    extensions = Path(__file__).with_name("extensions")
    for path in sorted([*extensions.glob("*.py"), *folder.glob("_templates/*"), folder / "conf.py"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in sorted(folder.glob("_static/js/*.js")):
        digest.update(repr((path.name, needs(path))).encode())
    return digest.hexdigest()[:16]


def _start_sphinx(site: Site, lang: str, *, everything: bool) -> subprocess.Popen[str]:
    cache = site.build / "site-out" / lang
    downloads = ",".join(sorted(path.stem for path in site.downloads[lang]))
    settings = {
        "language": LANGUAGES[lang],
        "llmbook_title": site.outline["title"][lang],
        "llmbook_downloads": downloads,
        "llmbook_digest": _digest(site.settings),
        "llmbook_finished": ",".join(site.finished),
        "llmbook_weights": ",".join(f"{path.stem}:{path.stat().st_size / 1e6:.1f}" for path in site.weights),
    }
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-q",
        "-c",
        str(site.settings),
        "-d",
        str(cache / "doctrees"),
    ]
    command += [option for name, value in settings.items() for option in ("-D", f"{name}={value}")]
    command += ["-a"] * everything + [str(site.build / "site-src" / lang), str(cache / "html")]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", env=_environment()
    )


def _environment() -> dict[str, str]:
    """The environment with a locale that exists: Sphinx ends at once where the system was never given the one that is asked for."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return os.environ | {"LC_ALL": "C.UTF-8"}
    finally:
        locale.setlocale(locale.LC_ALL, before)
    return dict(os.environ)


def _finish_sphinx(site: Site, lang: str, process: subprocess.Popen[str]) -> str:
    """Waits for Sphinx; its text where it failed, with its cache cleared, else nothing."""
    said, _ = process.communicate()
    if process.returncode == 0:
        return ""
    shutil.rmtree(site.build / "site-out" / lang, ignore_errors=True)
    return f"Sphinx ({lang}), exit code {process.returncode}:\n{said.strip()}"


def _publish(site: Site, docnames: set[str]) -> None:
    """Copies what readers need into a new folder, then puts it in the place of the old one."""
    html, new, old = (site.build / name for name in ("html", ".html-new", ".html-old"))
    for folder in (new, old):
        shutil.rmtree(folder, ignore_errors=True)
    for lang in LANGUAGES:
        built = site.build / "site-out" / lang / "html"
        kept = {f"{name}.html" for name in (*docnames, *SPHINX_PAGES)}
        _remove_others(
            built,
            {path for path in built.rglob("*") if path.suffix != ".html" or path.relative_to(built).as_posix() in kept},
        )
        used = {
            name
            for page in built.rglob("*.html")
            for name in re.findall(r'_images/([^"?#]+)', page.read_text(encoding="utf-8"))
        }
        _remove_others(built / "_images", {built / "_images" / name for name in used})
        shutil.copytree(built, new / lang, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for path in site.downloads[lang]:
            _copy(path, new / lang / "notebooks" / path.name)
    for path in site.weights:
        _copy(path, new / "weights" / path.name)
    write_text(new / "index.html", ENTRY.format(**site.outline["title"]))
    archive(new, new / ARCHIVE)
    wanted = [f"{lang}/{name}.html" for lang in LANGUAGES for name in sorted(docnames)]
    if lacking := [name for name in wanted if not (new / name).is_file()]:
        raise SiteError(
            f"the new site lacks {len(lacking)} of {len(wanted)} pages, {lacking[0]} first; the one before stays"
        )
    if html.exists():
        html.rename(old)
    new.rename(html)
    shutil.rmtree(old, ignore_errors=True)
