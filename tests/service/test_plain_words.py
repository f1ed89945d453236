"""The pages that everybody may read are in words that most people read easily."""

import pytest
from starlette.testclient import TestClient
from tests.plain_words import grade, sentences


@pytest.mark.parametrize(("address", "most"), [("/about", 6), ("/accessibility", 7)])
def test_a_child_who_leaves_primary_school_can_read_it(client: TestClient, address: str, most: float) -> None:
    page = client.get(address).text.split("<main", 1)[1].split("</main>")[0]
    assert grade(page) <= most
    assert max(len(sentence) for sentence in sentences(page)) <= 30
