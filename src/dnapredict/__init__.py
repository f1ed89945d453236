"""Predict missed hospital appointments fairly."""

__version__ = "0.1.0"
