"""Messages to the person who typed a command."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dnapredict.data.validation.checked import Checked


def say(text: str) -> None:
    """Print a message on standard error; standard output holds only the result that was asked for."""
    typer.echo(text, err=True)


def say_rejections(extract: Path, checked: "Checked") -> None:
    """Print how many rows keep the contract, and which rules the others break; never a value."""
    from dnapredict.pipeline.checking import contract_sentences

    for sentence in contract_sentences(checked, source=extract.name):
        say(sentence)
