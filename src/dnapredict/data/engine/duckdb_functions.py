"""Functions of the embedded engine that Ibis has no word for."""

import inspect
from collections.abc import Callable
from typing import cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


def engine_function(name: str, takes: tuple[dt.DataType, ...], gives: dt.DataType) -> Callable[..., ir.Value]:
    """The engine's function `name` as one of Ibis expressions."""

    def signature(*_: object) -> None: ...

    arguments = [inspect.Parameter(f"x{i}", inspect.Parameter.POSITIONAL_ONLY) for i in range(len(takes))]
    signature.__name__ = name
    signature.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    return cast(Callable[..., ir.Value], ibis.udf.scalar.builtin(signature, name=name, signature=(takes, gives)))
