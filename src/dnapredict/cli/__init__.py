"""The command line: one verb for each thing a person wants done, one file for each group of verbs."""

from dnapredict.cli.app import app, main

__all__ = ["app", "main"]
