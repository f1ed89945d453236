"""A real PostgreSQL server is killed under two services: a part of `python -m benchmarks.postgres_kills`."""

from pathlib import Path

from benchmarks.postgres_kills import killed


def test_what_was_acknowledged_is_on_record_once_when_postgresql_is_killed_under_two_services(tmp_path: Path) -> None:
    figures = killed(tmp_path, kills=3, seconds=60)
    assert figures.kills["server"] >= 1
    assert figures.kills["connection"] >= 1
    assert (figures.lost, figures.doubled, figures.faults) == (0, 0, {})
    assert min(map(len, figures.acknowledged.values())) > 0
    assert figures.statuses["503"] > 0
    assert figures.entries >= sum(map(len, figures.acknowledged.values()))
