"""The verb for a first look: the whole path on made-up patients."""

from dnapredict.cli.messages import say
from dnapredict.cli.options import HOME, Home, absolute


def demo(home: Home = HOME) -> None:
    """Show the whole path on made-up patients, and say where to look.

    simulate -> check -> train -> audit -> promote -> score a weekly list.

    Example:  dnapredict demo
    """
    from dnapredict.pipeline import demo as demonstration

    demonstration.run(absolute(home), say=say)
