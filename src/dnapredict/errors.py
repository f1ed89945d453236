"""Every error a user can meet, and the exit code of each.

::

    DnapredictError
    ├── UsageError            2   the command was called in a way that cannot be done
    ├── DataError            10   a file, column or row is not what the contract asks for
    │   └── NoEventsError    10   a figure is asked of data that cannot give it
    ├── ConfigurationError   11   a TOML file holds something it must not
    ├── ModelError           12   a model or the registry is missing, damaged or without skill
    ├── GateFailedError      13   a fairness gate failed
    └── StoreError           14   the home, a store or the service cannot be used

A message is one or two sentences: what is wrong, where, what was expected, what to do.
Configuration errors may quote the wrong value. Data errors name file, column, rule,
counts and row numbers and never a value, since a value can belong to a patient.
"""

from typing import ClassVar


class DnapredictError(Exception):
    """The root: anything that dnapredict refuses to do, in words a user can act on."""

    exit_code: ClassVar[int] = 1


class UsageError(DnapredictError):
    """The command was called in a way that cannot be done."""

    exit_code = 2


class DataError(DnapredictError):
    """A file, a column or too many rows are not what the data contract asks for."""

    exit_code = 10


class NoEventsError(DataError):
    """A figure was asked of data that cannot give it, such as reach where nobody missed."""


class ConfigurationError(DnapredictError):
    """A configuration file holds something it must not."""

    exit_code = 11


class ModelError(DnapredictError):
    """A model or the registry is missing, damaged or without skill."""

    exit_code = 12


class GateFailedError(DnapredictError):
    """A fairness gate failed."""

    exit_code = 13


class StoreError(DnapredictError):
    """The home, a store or the service cannot be used."""

    exit_code = 14


class UnverifiedDecisionError(StoreError):
    """The ledger of decisions, or a signed report, was changed, so it is not known which version may be used."""
