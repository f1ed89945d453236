"""How many examples a property is tried on: all of them in `make test-thorough`, a part of them in `make test`."""

import math

import hypothesis

ALL = 100
PART = 30


def examples(number: int) -> int:
    """So many examples, or with `--part` 30 of 100 of them; `conftest` loads the profile that says so."""
    profile = hypothesis.settings.default
    assert profile is not None
    return math.ceil(number * profile.max_examples / ALL)
