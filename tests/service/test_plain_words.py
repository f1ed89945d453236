"""The pages that everybody may read are in words that most people read easily."""

import re

import pytest
from starlette.testclient import TestClient

WORDS = re.compile(r"[A-Za-z’']+")


def sentences(page: str) -> list[list[str]]:
    """The words of each sentence in the main part, each item of a list being one; not what is folded up."""
    main = page.split("<main", 1)[1].split("</main>")[0]
    open_ = re.sub(r"<details.*?</details>", "", main, flags=re.DOTALL)
    ended = re.sub(r"<(li|p|dd|dt|h\d)[ >]", r". <\1 ", open_)
    plain = re.sub(r"<[^>]*>", " ", ended)
    return [words for said in re.split(r"[.!?:]+", plain) if len(words := WORDS.findall(said)) > 2]


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e: near enough."""
    groups = len(re.findall(r"[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith("le") and groups > 1
    return max(1, groups - silent)


def grade(page: str) -> float:
    """The years of school that one needs to read it (Flesch and Kincaid); add five for an age."""
    said = sentences(page)
    words = [word for sentence in said for word in sentence]
    return 0.39 * len(words) / len(said) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


@pytest.mark.parametrize(("address", "most"), [("/about", 6), ("/accessibility", 7)])
def test_a_child_who_leaves_primary_school_can_read_it(client: TestClient, address: str, most: float) -> None:
    page = client.get(address).text
    assert grade(page) <= most
    assert max(len(sentence) for sentence in sentences(page)) <= 30
