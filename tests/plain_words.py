"""Words and sentences that no report, page or message may contain, and how hard a page is to read."""

import html
import re

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

# Sentences of earlier reports that readers without statistics misread.
MISLEADING = (
    r"\d+ of \d+ groups (?:is|are) ",
    r"could be the same",
    r"beyond chance; ",
    r"-\d[\d,]* missed appointments",
    r"crosses a limit",
    r"treatment_function|Specialty 1[0-9][0-9]\b",
)

_WORD = re.compile(r"[A-Za-z\u2019']+")


def sentences(markup: str) -> list[list[str]]:
    """The words of each sentence of a page, each item of a list being one; not what is folded up or drawn."""
    shown = re.sub(r"(?s)<details.*?</details>|<svg.*?</svg>|<style>.*?</style>", "", markup)
    ended = re.sub(r"<(?=(?:li|p|dd|dt|h\d|td|th|caption)[ >])", ". <", shown)
    plain = html.unescape(re.sub(r"<[^>]*>", " ", ended))
    return [words for said in re.split(r"[.!?:;]+(?=\s)", plain) if len(words := _WORD.findall(said)) > 2]


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e: near enough."""
    groups = len(re.findall(r"[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith("le") and groups > 1
    return max(1, groups - silent)


def grade(markup: str) -> float:
    """The years of school that one needs to read it (Flesch and Kincaid); add five for an age."""
    said = sentences(markup)
    words = [word for sentence in said for word in sentence]
    return 0.39 * len(words) / len(said) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59
