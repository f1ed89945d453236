"""Count how often each acknowledged score, uploaded list and outcome is stored in a home; exactly once is right."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import list_store


@dataclass
class Acknowledged:
    """Appointments that were scored, those of each uploaded list by its id, and (list, appointment) of each outcome."""

    scores: list[str] = field(default_factory=list)
    uploads: dict[str, list[str]] = field(default_factory=dict)
    outcomes: list[tuple[str, str]] = field(default_factory=list)

    def judged(self, home: Path) -> dict[str, dict[str, int]]:
        """By kind: the number acknowledged, never stored and stored several times; and the log entries that verify.

        An upload counts once if its list is kept, can be read whole, and has each row in the log once.
        """
        log = ScoringLog(home)
        hashes = Hashes(home, log)
        answers = Counter((row.list or "", row.appointment) for row in log.query(_ANSWERED))
        actions = Counter((row.list, row.appointment) for row in log.query(_RECORDED))
        kept = Counter(heading.list_id for heading in list_store.headings(home))

        def times(found: Counter[tuple[str, str]], listed: str, appointment: str) -> int:
            return found[listed, hashes.of("appointment", appointment)]

        def times_kept(listed: str, rows: list[str]) -> int:
            shown = list_store.find_shown(home, listed)
            if shown is None or sorted(shown.worklist["appointment_id"].to_pylist()) != sorted(rows):
                return 0
            each = {times(answers, listed, row) for row in rows} | {kept[listed]}
            return 1 if each == {1} else max(each - {1})

        found = {
            "scores": _counts([times(answers, "", each) for each in self.scores]),
            "uploads": _counts([times_kept(listed, rows) for listed, rows in self.uploads.items()]),
            "outcomes": _counts([times(actions, *each) for each in self.outcomes]),
            "log": {"entries that verify": log.verify().entries},
        }
        log.close()
        return found


_ANSWERED = select(ANSWERS.c.list, ANSWERS.c.appointment)
_RECORDED = select(ACTIONS.c.list, ACTIONS.c.appointment)


def _counts(times: list[int]) -> dict[str, int]:
    return {"acknowledged": len(times), "never": times.count(0), "several times": sum(each > 1 for each in times)}
