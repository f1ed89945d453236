"""Checks of the outcomes before a model learns from them: what `check` and `train` say of each fault, and how they end.

For an analyst who prepares an extract. Each line plants one fault in an extract whose outcomes are right. Exit code 0
is a warning, 10 a stop. Every count that is printed is rounded to 5, and none from 1 to 7 is printed.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dnapredict.config.training_config import Setting
from dnapredict.errors import DataError
from dnapredict.pipeline import model_building
from dnapredict.pipeline.checking import check
from dnapredict.synthetic.simulation import simulate

FAULTS = """
    fault in the extract                              | verb  | exit | what is said
    none                                              | check | 0    |
    none                                              | train | 0    |
    a list of appointments to come, without outcomes  | check | 0    |
    no outcome column                                 | check | 10   | There is no outcome_code, though
    no outcome column                                 | train | 10   | There is no outcome_code, though
    no outcome is filled                              | check | 10   | No appointment was attended or missed, though
    no outcome is filled                              | train | 10   | No appointment was attended or missed, though
    flag of 0 and 1, neither translated               | check | 10   | outcome_code that is not one of
    DNA flag, only 1 is translated                    | check | 10   | have the outcome 0, which means that an appointment is in the future
    DNA flag, only 1 is translated                    | train | 10   | have the outcome 0, which means that an appointment is in the future
    attended flag, only 1 is translated               | check | 10   | None of 15,135 appointments with an outcome is recorded as missed
    attended flag, only 1 is translated               | train | 10   | have the outcome 0, which means that an appointment is in the future
    attended and missed turned round                  | check | 10   | the flag may be turned round
    attended and missed turned round                  | train | 10   | the flag may be turned round
    40 in 100 are missed                              | check | 0    | 40 in 100 of 16,345 appointments with an outcome are recorded as missed
    40 in 100 are missed                              | train | 0    | 40 in 100 of 16,345 appointments with an outcome are recorded as missed
    1 in 100 is missed                                | check | 0    | 1 in 100 of 15,285 appointments with an outcome are recorded as missed
    the last day is all missed                        | check | 0    | On 1 day nearly all appointments are recorded as missed, where usually
    the last day is all missed                        | train | 0    | On 1 day nearly all appointments are recorded as missed, where usually
    the last day is all missed but three              | check | 0    | 6 October 2023 (nearly all of 300)
    ten days are all missed                           | check | 10   | On 10 days nearly all appointments are recorded as missed
    a day of 300 without one missed                   | check | 0    | 6 October 2023 (0 of 300)
    a day of 300 without one missed                   | train | 0    | On 1 day hardly any appointment is recorded as missed
    three weeks without one missed                    | check | 0    | From 6 August 2023 to 26 August 2023 none of
    three weeks without one missed                    | train | 0    | From 6 August 2023 to 26 August 2023 none of
    outcomes in the year 2090                         | check | 0    | 40 appointments have an outcome that lies in the future
    outcomes in the year 2090                         | train | 0    | 4 October 2090 (40)
    1,000 outcomes in the year 2090                   | check | 10   | 1,000 appointments have an outcome that lies in the future
    outcomes recorded in the year 2090                | check | 0    | 40 appointments have an outcome that lies in the future
    appointments to come are marked as attended       | check | 0    | appointments have an outcome and take place after 6 October 2023
    appointments to come are marked as attended       | train | 0    | appointments have an outcome and take place after 6 October 2023
    has_mobile is blank in 3 of 100 rows, all missed  | check | 10   | has_mobile gives the outcome away: of 490 appointments in which it is blank, nearly all were missed
    has_mobile is blank in 3 of 100 rows, all missed  | train | 10   | has_mobile gives the outcome away
    has_mobile is blank in 1 of 100 rows, all missed  | check | 0    | has_mobile gives the outcome away
    has_mobile is blank in 1 of 100 rows, all missed  | train | 0    | has_mobile gives the outcome away
    distance_km is only filled at the appointment     | check | 10   | distance_km gives the outcome away
    transport_booked is filled in 5 of 100, attended  | check | 10   | transport_booked gives the outcome away: of 815 appointments in which it is filled, hardly any was missed
    a clinic to which missed appointments are moved   | check | 10   | clinic_code gives the outcome away
    a walk-in site, where none is missed              | check | 0    | If nobody can miss there, as in a walk-in clinic, nothing is wrong
    a walk-in site, where none is missed              | train | 0    | site_code gives the outcome away
    times_rescheduled counts the appointment itself   | check | 10   | times_rescheduled gives the outcome away
    the clock time is lost where it is missed         | check | 10   | starts_at gives the outcome away
    plus_group is a mark in 3 of 100 rows, all missed | check | 0    | plus_group gives the outcome away
    a reason on the trust's side, where it is missed  | check | 0    |
"""
LINES = [tuple(cell.strip() for cell in line.split("|")) for line in FAULTS.strip().splitlines()[1:]]
_YEARS_BACK = 156  # weeks, so that the made-up calendar is past by any machine's clock


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """20,000 synthetic appointments from April 2022 to October 2023, the last two weeks of which are to come."""
    path = tmp_path_factory.mktemp("board") / "board.parquet"
    simulate(path, appointments=20_000, seed=3)
    frame = pd.read_parquet(path)
    for name in ("booked_at", "starts_at", "recorded_at", "referred_at", "rtt_period_start"):
        frame[name] -= pd.Timedelta(weeks=_YEARS_BACK)
    return frame


@pytest.mark.cases(15)
@pytest.mark.parametrize(("fault", "verb", "code", "said"), LINES)
def test_each_fault_of_the_outcomes_is_named(
    fault: str, verb: str, code: str, said: str, board: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "extract.parquet"
    planted = PLANTED[fault](board.copy())
    planted.to_parquet(path)
    ended, messages = run(verb, path, monkeypatch)
    about_outcomes = [each for each in messages if not each.startswith(USUAL)]
    assert (str(ended), said in " ".join(messages)) == (code, True), messages
    assert said or about_outcomes == []


USUAL = ("extract.parquet:", "Reading", "Building")


class TrainingBeginsError(Exception):
    """The checks have passed; the training itself is not wanted here."""


def run(verb: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """The exit code of a verb, and what it says."""
    messages: list[str] = []
    try:
        if verb == "check":
            check(path, setting=Setting(), say=messages.append).require()
        else:
            monkeypatch.setattr(model_building, "labelled_matrix", begin)
            model_building.train(path, home=path.parent, setting=Setting(), say=messages.append)
    except DataError as error:
        return error.exit_code, [*messages, str(error)]
    except TrainingBeginsError:
        pass
    return 0, messages


def begin(*_: object, **__: object) -> None:
    raise TrainingBeginsError


def missed(frame: pd.DataFrame) -> pd.Series:
    return frame.outcome_code.isin(["3", "7"])


def attended(frame: pd.DataFrame) -> pd.Series:
    return frame.outcome_code.isin(["5", "6"])


def first(mask: pd.Series, count: int) -> pd.Series:
    """The first `count` rows of a mask, spread over the whole extract."""
    rows = np.flatnonzero(mask)
    chosen = np.zeros(len(mask), dtype=bool)
    chosen[rows[np.linspace(0, len(rows) - 1, count).astype(int)]] = True
    return pd.Series(chosen, index=mask.index)


def without(*columns: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.drop(columns=list(columns))


def coded(**values: str | None) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Outcomes in which `missed`, `attended` and `other` are written as these codes."""

    def write(frame: pd.DataFrame) -> pd.DataFrame:
        was_missed, was_attended = missed(frame), attended(frame)
        if "other" in values:
            frame["outcome_code"] = values["other"]
        frame.loc[was_missed, "outcome_code"] = values["missed"]
        frame.loc[was_attended, "outcome_code"] = values["attended"]
        return frame

    return write


def to_come(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame.starts_at > "2023-10-09"].drop(columns=["outcome_code", "recorded_at"])


def share(part: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Rows are left out, or called missed, until so large a part of the known outcomes is missed."""

    def write(frame: pd.DataFrame) -> pd.DataFrame:
        known = int((missed(frame) | attended(frame)).sum())
        short = round(part * known) - int(missed(frame).sum())
        if short > 0:
            frame.loc[first(attended(frame), short), "outcome_code"] = "3"
            return frame
        kept = round(part * int(attended(frame).sum()) / (1 - part))
        return frame[~missed(frame) | first(missed(frame), kept)]

    return write


def day_of(day: str, rows: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The appointments of one day are so many, taken from other days, and attended."""

    def write(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame[frame.starts_at.dt.normalize() != day]
        chosen = first(attended(frame), rows)
        frame.loc[chosen, "starts_at"] = pd.Timestamp(day) + pd.Timedelta(hours=10)
        frame.loc[chosen, "booked_at"] = frame.loc[chosen, "booked_at"].clip(upper=pd.Timestamp(day))
        frame.loc[chosen, "recorded_at"] = pd.Timestamp(day) + pd.Timedelta(hours=15)
        return frame

    return write


def all_on(day: str, code: str, *, except_rows: int = 0) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def write(frame: pd.DataFrame) -> pd.DataFrame:
        rows = np.flatnonzero((frame.starts_at.dt.normalize() == day) & (missed(frame) | attended(frame)))
        frame.iloc[rows, frame.columns.get_loc("outcome_code")] = code
        frame.iloc[rows[:except_rows], frame.columns.get_loc("outcome_code")] = "5"
        return frame

    return write


def chain(*steps: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def write(frame: pd.DataFrame) -> pd.DataFrame:
        for step in steps:
            frame = step(frame)
        return frame

    return write


def in_2090(column: str, rows: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def write(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = first(attended(frame), rows)
        frame.loc[chosen, "recorded_at"] = pd.NaT
        frame.loc[chosen, column] = pd.Timestamp("2090-10-04 10:00")
        return frame

    return write


def known_too_soon(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[frame.outcome_code.isna() & (frame.starts_at > "2023-10-09"), "outcome_code"] = "5"
    return frame


def leak(column: str, value: object, part: float, were: Callable[[pd.DataFrame], pd.Series] = missed):
    """In so large a part of the known outcomes the column holds a value that other rows never hold."""

    def write(frame: pd.DataFrame) -> pd.DataFrame:
        known = int((missed(frame) | attended(frame)).sum())
        frame[column] = frame[column].astype(object)
        frame.loc[first(were(frame), round(part * known)), column] = value
        return frame

    return write


def emptied(column: str, keep: Callable[[pd.DataFrame], pd.Series]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def write(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[~keep(frame), column] = None
        return frame

    return write


def without_clock(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[missed(frame), "starts_at"] = frame.loc[missed(frame), "starts_at"].dt.normalize()
    frame["booked_at"] = frame.booked_at.dt.normalize()
    return frame


def rescheduled(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[first(missed(frame), 500), "times_rescheduled"] = 7
    return frame


def ten_days(frame: pd.DataFrame) -> pd.DataFrame:
    for day in range(10, 20):
        frame = day_of(f"2023-08-{day}", 50)(frame)
        frame = all_on(f"2023-08-{day}", "3")(frame)
    return frame


def walk_in(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[first(attended(frame), 2_000), "site_code"] = "SYAWI"
    return frame


def weeks_attended(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[missed(frame) & frame.starts_at.between("2023-08-07", "2023-08-28"), "outcome_code"] = "5"
    return frame


def trust_side(frame: pd.DataFrame) -> pd.DataFrame:
    frame["trust_side_reason"] = None
    frame.loc[first(missed(frame), 500), "trust_side_reason"] = True
    return frame


def part_filled(frame: pd.DataFrame) -> pd.DataFrame:
    known = int((missed(frame) | attended(frame)).sum())
    return emptied("transport_booked", lambda rows: first(attended(rows), round(0.05 * known)))(frame)


LAST_DAY = day_of("2023-10-06", 300)
PLANTED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "none": lambda frame: frame,
    "a list of appointments to come, without outcomes": to_come,
    "no outcome column": without("outcome_code", "recorded_at"),
    "no outcome is filled": coded(missed=None, attended=None, other=None),
    "flag of 0 and 1, neither translated": coded(missed="1", attended="0"),
    "DNA flag, only 1 is translated": coded(missed="3", attended="0"),
    "attended flag, only 1 is translated": coded(missed="0", attended="5"),
    "attended and missed turned round": coded(missed="5", attended="3"),
    "40 in 100 are missed": share(0.40),
    "1 in 100 is missed": share(0.01),
    "the last day is all missed": chain(LAST_DAY, all_on("2023-10-06", "3")),
    "the last day is all missed but three": chain(LAST_DAY, all_on("2023-10-06", "3", except_rows=3)),
    "ten days are all missed": ten_days,
    "a day of 300 without one missed": chain(LAST_DAY, all_on("2023-10-06", "5")),
    "three weeks without one missed": weeks_attended,
    "outcomes in the year 2090": in_2090("starts_at", 40),
    "1,000 outcomes in the year 2090": in_2090("starts_at", 1_000),
    "outcomes recorded in the year 2090": in_2090("recorded_at", 40),
    "appointments to come are marked as attended": known_too_soon,
    "has_mobile is blank in 3 of 100 rows, all missed": leak("has_mobile", None, 0.03),
    "has_mobile is blank in 1 of 100 rows, all missed": leak("has_mobile", None, 0.01),
    "distance_km is only filled at the appointment": emptied("distance_km", attended),
    "transport_booked is filled in 5 of 100, attended": part_filled,
    "a clinic to which missed appointments are moved": leak("clinic_code", "DNA-CLINIC", 0.03),
    "a walk-in site, where none is missed": walk_in,
    "times_rescheduled counts the appointment itself": rescheduled,
    "the clock time is lost where it is missed": without_clock,
    "plus_group is a mark in 3 of 100 rows, all missed": leak("plus_group", "MARK", 0.03),
    "a reason on the trust's side, where it is missed": trust_side,
}


def test_every_fault_of_the_table_is_planted():
    assert {fault for fault, *_ in LINES} == set(PLANTED)
