"""The service's log: what other people's code wrote, without the values it wrote about."""

import io
import logging
import re

import pytest
from pydantic import BaseModel, ValidationError

from dnapredict.service.log.log_redaction import LogRedaction, redact_logs
from dnapredict.service.prometheus_metrics import exposition

MARK = "zebra-4711"


def record(name: str, message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, exc_info)


def test_of_an_exception_remain_its_type_and_its_line() -> None:
    try:
        raise RuntimeError(MARK)
    except RuntimeError as error:
        written = record("bentoml.serve", "Exception on %s", "/v1/score/" + MARK, error=error)
    assert LogRedaction().filter(written)
    said = logging.Formatter().format(written)
    assert said.startswith("RuntimeError at ")
    assert "test_discretion.py" in said
    assert MARK not in said


def test_of_another_librarys_warning_remains_its_template() -> None:
    written = record("uvicorn.error", "Invalid header %s", MARK)
    assert LogRedaction().filter(written)
    assert written.getMessage() == "Invalid header %s"


def test_our_own_sentences_pass() -> None:
    written = record("dnapredict.service", "Model version %s answers now.", "7")
    assert LogRedaction().filter(written)
    assert written.getMessage() == "Model version 7 answers now."


def test_a_refused_request_is_not_logged_at_all() -> None:
    class Age(BaseModel):
        years: int

    with pytest.raises(ValidationError) as refused:
        Age(years=MARK)  # type: ignore[arg-type]
    assert not LogRedaction().filter(record("bentoml.serve", "Exception", error=refused.value))


class Full(io.StringIO):
    """A log on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_of_a_line_that_cannot_be_written_nothing_is_printed_but_that_and_it_is_counted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler, before = logging.StreamHandler(Full()), lost_lines()
    logger = logging.getLogger("bentoml")
    logger.addHandler(handler)
    try:
        redact_logs()
        for _ in range(2):
            try:
                raise RuntimeError(MARK)
            except RuntimeError:
                logger.error("Nothing was read of %s", MARK)
    finally:
        logger.removeHandler(handler)
    printed = capfd.readouterr()
    assert printed.err.count("The service's log cannot be written (OSError).\n") == 1
    assert MARK not in printed.out + printed.err
    assert lost_lines() == before + 2


def lost_lines() -> float:
    found = re.search(r"^dnapredict_log_lines_lost_total (\S+)$", exposition().decode(), re.MULTILINE)
    return 0.0 if found is None else float(found[1])


@pytest.mark.parametrize("value", ["a\nINFO forged", "a\r\nforged", "\x1b[2Jforged", "a\u2028forged", "a\x00forged"])
def test_a_logged_value_begins_no_line_of_its_own(value: str) -> None:
    written = record("dnapredict.service", "The issuer cannot be reached at %s.", value)
    assert LogRedaction().filter(written)
    said = logging.Formatter().format(written)
    assert said.isprintable()
    assert said.startswith("The issuer cannot be reached at ")
    assert "forged" in said


def test_letters_of_any_language_are_logged_as_they_are() -> None:
    written = record("dnapredict.service", "Made for %s.", "Zoë Łuczak")
    LogRedaction().filter(written)
    assert written.getMessage() == "Made for Zoë Łuczak."
