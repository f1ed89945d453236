"""The verb `demo`: every step on made-up patients."""

from dnapredict.cli.messages import say
from dnapredict.cli.options import HOME, Home, home_option


def demo(home: Home = HOME) -> None:
    """Run every step on made-up patients, and say where results are.

    The steps: simulate, check, train, audit, promote, score a weekly list.

    Example:  dnapredict demo
    """
    from dnapredict.pipeline import demo as demonstration

    demonstration.run(home_option(home), say=say)
