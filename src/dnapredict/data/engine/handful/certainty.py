"""What is not certain to come out as in the embedded engine, and how it is kept apart until it matters."""

from typing import Final, NoReturn


class NotCertain(Exception):  # noqa: N818 - not an error: the embedded engine does the work instead
    """The embedded engine has to answer this."""


class _Unsure:
    """Stands for a value that only the embedded engine knows. Nobody may look at it; it may be passed on,
    since most are never chosen: text is read in every way, and its shape says which was meant.
    """

    def _refuse(self, *_: object) -> NoReturn:
        raise NotCertain

    __bool__ = __len__ = __hash__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


UNSURE: Final = _Unsure()
