"""Sphinx's settings for both languages; `llmbook.site.build` passes the language, the title and the downloads."""

from sphinx.application import Sphinx
from sphinx.config import Config

from llmbook.paths import data_dir

project = "llmbook"
author = "llmbook"
copyright = ""
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinxcontrib.bibtex"]
extensions += [
    f"llmbook.site.extensions.{name}" for name in ("dropdown", "live", "numbers", "page", "passages", "quiz", "search")
]
extensions += ["sphinx_copybutton"]
language = "zh_CN"
exclude_patterns = []
templates_path = ["_templates"]

# MyST and notebooks: nothing is executed here
myst_enable_extensions = [
    "dollarmath",
    "amsmath",
    "colon_fence",
    "deflist",
    "attrs_inline",
    "attrs_block",
    "strikethrough",
]
myst_dmath_double_inline = False
myst_dmath_allow_digits = False
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_image_options = {"align": "center"}
suppress_warnings = ["mystnb.unknown_mime_type"]

# copied code: without prompts, and not what a cell printed
copybutton_selector = "div:not(.output) > div.highlight > pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# numbers
numfig = True
math_numfig = True
numfig_secnum_depth = 2
html_secnumber_suffix = " "

# citations
bibtex_reference_style = "author_year"
bibtex_default_style = "plain"

# formulas: MathJax and its fonts from this site; speech needs a worker, which file:// refuses, so screen readers get
# MathML
mathjax_path = "mathjax/tex-mml-chtml.js"
mathjax4_config = {
    "output": {"fontPath": "[mathjax]/fonts/%%FONT%%-font", "displayOverflow": "scroll"},
    "loader": {"paths": {"fonts": "[mathjax]/fonts"}, "load": ["a11y/assistive-mml"]},
    "options": {
        "enableMenu": False,
        "menuOptions": {"settings": {"enrich": False, "speech": False, "braille": False, "assistiveMml": True}},
    },
}

# pages
html_theme = "sphinx_book_theme"
html_static_path = ["_static", str(data_dir() / "fonts")]  # the fonts lie beside css/
html_css_files = ["css/llmbook.css", "css/search.css"]
html_js_files = [("js/llmbook.js", {"defer": "defer"}), ("js/progress.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_show_search_summary = False
html_context = {"default_mode": "auto"}
html_permalinks_icon = "#"

WORDS = {
    "zh_CN": {
        "figure": "图 %s",
        "equation": "式 ({number})",
        "table": "表 %s",
        "code": "代码 %s",
        "contents": "本页目录",
        "search": "搜索本书",
        "show": "折起的代码",
        "hide": "收起这段代码",
        "licence": "代码采用 Apache-2.0 许可，文字与插图采用 CC BY 4.0 许可。",
    },
    "en": {
        "figure": "Figure %s",
        "equation": "Eq. ({number})",
        "table": "Table %s",
        "code": "Listing %s",
        "contents": "On this page",
        "search": "Search the book",
        "show": "Folded code",
        "hide": "Hide this code",
        "licence": "Code is under Apache-2.0, text and figures under CC BY 4.0.",
    },
}


def localise(app: Sphinx, config: Config) -> None:
    """Sets whatever differs between the languages, which is known only once the command line is read."""
    words = WORDS[config.language]
    config.html_title = config.llmbook_title
    config.bibtex_bibfiles = [str(app.srcdir / "references.bib")]
    config.numfig_format = {
        "section": "%s",
        "figure": words["figure"],
        "table": words["table"],
        "code-block": words["code"],
    }
    config.math_eqref_format = words["equation"]
    # MathJax's own fonts have no Chinese: words in formulas come from the page's fonts
    config.mathjax4_config["output"]["mtextInheritFont"] = config.language.startswith("zh")
    config.nb_code_prompt_show = words["show"]
    config.nb_code_prompt_hide = words["hide"]
    config.html_theme_options = {
        "article_header_end": ["chapter-links.html", "article-header-buttons.html"],
        "article_footer_items": ["run-yourself.html"],
        "extra_footer": f"<p>{words['licence']}</p>",
        "footer_content_items": ["extra-footer.html"],
        "home_page_in_toc": False,
        "max_navbar_depth": 3,
        "navbar_persistent": [],
        "search_bar_text": words["search"],
        "show_navbar_depth": 2,
        "show_toc_level": 2,
        "toc_title": words["contents"],
        "use_download_button": False,
        "use_fullscreen_button": False,
        "use_repository_button": False,
    }


def setup(app: Sphinx) -> None:
    app.connect("config-inited", localise, priority=100)
