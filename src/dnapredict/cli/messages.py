"""What a verb says to the person who typed it, and the files it leaves them."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dnapredict.data.validation.checked import Checked


def say(text: str) -> None:
    """Tell a person something on standard error, which leaves standard output to what they asked for."""
    typer.echo(text, err=True)


def tell_rejections(extract: Path, checked: "Checked") -> None:
    """How many rows keep the contract, and which rule the others break; never a value."""
    say(f"{extract.name}: {checked.kept:,} of {checked.total:,} rows keep the contract.")
    for sentence in checked.ingest.sentences:
        say(f"  {sentence}")
    for rejection in checked.rejections:
        say(f"  rejected: {rejection}")
