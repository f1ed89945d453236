"""Words that no report, page or message may contain."""

# Words that put the blame on patients.
BANNED = (
    "non-compliant",
    "non-compliance",
    "non compliant",
    "offender",
    "repeat offender",
    "failed to attend",
    "fails to attend",
    "failure to attend",
    "no-show",
    "no show",
    "wasted appointment",
    "unreliable",
    "hard to reach",
    "defaulter",
    "culprit",
    "poor attender",
)
