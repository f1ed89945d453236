"""What a browser sends: the fields of a form, and numbers in forms and addresses."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from dnapredict.errors import DataError
from dnapredict.service.call_outcomes import Choice, choice_of

_MOST_DIGITS: Final = 6
_BACK: Final = "Go back and try again."


@dataclass(frozen=True)
class PostedForm:
    """The fields of a form as text: the first value where a name was sent twice."""

    fields: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, body: str, *, most_fields: int, advice: str = _BACK) -> "PostedForm":
        """Read it from the body of a request.

        Parameters
        ----------
        advice
            What to do about a body that cannot be read: the end of the message.

        Raises
        ------
        DataError
            If the body is not a form, or has more than `most_fields` fields.
        """
        try:
            fields = parse_qs(body, keep_blank_values=True, max_num_fields=most_fields)
        except ValueError:
            raise DataError(f"The form could not be read. {advice}") from None
        return cls({name: values[0] for name, values in fields.items()})

    def text(self, name: str) -> str:
        """A field as it was sent, "" where there is none."""
        return self.fields.get(name, "")

    @property
    def line(self) -> int:
        """The number in the field `line`; 0 for anything else."""
        return whole_number(self.text("line")) or 0

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """The member of `choices` that was chosen in a field, None for anything else."""
        return choice_of(self.text(name), choices)

    @property
    def seen(self) -> str | None:
        """Time of the outcome that the form showed, "" for none; None if the form has no such field.

        Raises
        ------
        DataError
            If it is not a time.
        """
        seen = self.fields.get("seen")
        try:
            if seen:
                datetime.datetime.fromisoformat(seen)
        except ValueError:
            raise DataError(f"The form could not be read. {_BACK}") from None
        return seen


async def body_text(request: Request) -> str:
    """The body of a request as text."""
    return (await request.body()).decode("utf-8", "replace")


def whole_number(text: str, *, most_digits: int = _MOST_DIGITS) -> int | None:
    """A number without a sign; None for anything else, or where it has more digits.

    >>> whole_number("14"), whole_number("1e3"), whole_number("1234567")
    (14, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= most_digits else None
