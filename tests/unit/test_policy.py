"""`fairness/policy.toml`: uses that harm are refused in words, and limits have reasons."""

from pathlib import Path

import pytest

from dnapredict.config.fairness_policy import REFUSED_USES, USES, Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import ConfigurationError

SHIPPED = shipped("fairness/policy.toml").read_text()


def policy(tmp_path: Path, old: str, new: str) -> Policy:
    assert old in SHIPPED
    path = tmp_path / "policy.toml"
    path.write_text(SHIPPED.replace(old, new))
    return load(path, Policy)


@pytest.mark.parametrize("use", [*REFUSED_USES, "Over-booking", "OVERBOOKING", "delaying care", "overbook"])
def test_a_use_that_takes_care_away_is_refused_and_the_message_says_why(tmp_path: Path, use: str):
    with pytest.raises(ConfigurationError, match=r"never for .*: .*(wait|care).* Permitted: ") as refusal:
        policy(tmp_path, 'use = "supportive contact"', f'use = "{use}"')
    assert refusal.value.exit_code == 11


@pytest.mark.parametrize("use", USES)
def test_a_use_that_helps_is_accepted(tmp_path: Path, use: str):
    found = policy(tmp_path, 'use = "supportive contact"', f'use = "{use}"')
    assert found.use == use
    assert found.primary in ("reach", "calibration")


def test_an_unknown_use_names_the_permitted_ones(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="Permitted: supportive contact"):
        policy(tmp_path, 'use = "supportive contact"', 'use = "marketing"')


def test_an_unknown_key_is_answered_with_the_right_one(tmp_path: Path):
    with pytest.raises(ConfigurationError) as refusal:
        policy(tmp_path, "smallest_group =", "smalest_group =")
    assert "unknown key 'smalest_group'. Did you mean 'smallest_group'?" in str(refusal.value)


def test_a_limit_without_a_why_is_refused(tmp_path: Path):
    line = next(line for line in SHIPPED.splitlines() if line.startswith('why = "Someone who would miss'))
    with pytest.raises(ConfigurationError, match=r"limits\.reach\.why"):
        policy(tmp_path, line, "")


def test_a_change_needs_a_second_person(tmp_path: Path):
    change = """
[[changes]]
limit = "limits.reach.max_harm_gap"
was = 0.05
now = 0.10
on = 2026-01-01
by = "A. Person"
seconded_by = "a. person "
why = "The trust is small."
"""
    with pytest.raises(ConfigurationError, match="another person"):
        policy(tmp_path, "[disclosure]", change + "\n[disclosure]")


def test_the_groups_compared_must_exist(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="core20"):
        policy(tmp_path, "compared = [\n", 'compared = [\n    "shoe_size", ')
