"""Write a configuration as TOML, so that a run can be reproduced."""

import tomli_w

from dnapredict.config.loading import Settings


def as_toml(settings: Settings) -> str:
    """The settings as TOML that `loading.load` reads back to an equal model; None is left out.

    >>> import datetime
    >>> from dnapredict.config.training_config import SplitConfig
    >>> print(as_toml(SplitConfig(test_from=datetime.date(2025, 10, 1))), end="")
    test_from = 2025-10-01
    test_share = 0.2
    """
    return tomli_w.dumps(settings.model_dump(by_alias=True, exclude_none=True))
