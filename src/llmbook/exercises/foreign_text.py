"""Words that somebody else wrote, for places where they must not do more than be read.

Book: §0
"""

import ast

from llmbook.closure import parsed


def printable(text: str) -> str:
    """For one line of a report, a terminal or a log: what is no visible character is written as an escape."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def syntax(code: str) -> ast.Module | None:
    """The syntax tree of somebody's code, which is not run; None if it is no Python, or more than the parser takes."""
    try:
        return parsed(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def storable(text: str) -> str:
    """For a file: halves of characters, which UTF-8 cannot write, and zero bytes become U+FFFD; lines stay."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "\ufffd")
