"""The command line."""

from llmbook.cli.main import app, main

__all__ = ["app", "main"]
