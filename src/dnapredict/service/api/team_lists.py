"""Which lists belong to a team, and whether an uploaded list is a later export of one of them."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.service.auth.staff import SIGNED_IN, THIS_MACHINE, may_delete, may_see
from dnapredict.worklist.files.list_store import Heading, KeptList

# The next export of a list has some new appointments and some fewer. A list that shares fewer is another list.
_LEAST_IN_COMMON: Final = 0.5


def own_team() -> str:
    """The team of the person of this request; "" where nobody signs in, or for a key of no team."""
    person = SIGNED_IN.get()
    return "" if person is None else person.team


def own_name() -> str:
    """The name of the person of this request; "" where nobody signs in."""
    person = SIGNED_IN.get()
    return "" if person is None else person.name


def has_own_lists() -> bool:
    """Whether the person of this request may work only on the lists of a team or of a shared key."""
    person = SIGNED_IN.get()
    return person is not None and person is not THIS_MACHINE


def may_open(heading: Heading) -> bool:
    """Whether the person of this request may open a list; outside a request everything may be opened."""
    person = SIGNED_IN.get()
    return person is None or may_see(person, heading.team)


def may_delete_list(heading: Heading) -> bool:
    """Whether the person of this request may delete a list; outside a request every list may be deleted."""
    person = SIGNED_IN.get()
    return person is None or may_delete(person, heading.team)


def is_own(heading: Heading) -> bool:
    """Whether a list belongs to the person's team; for a key without a team, whether that key uploaded the list."""
    team = own_team()
    if team or not has_own_lists():
        return heading.team == team
    return not heading.team and heading.uploaded_by == own_name()


def followed_list(own: Sequence[KeptList], worklist: pa.Table) -> str:
    """The id of the list in `own` that shares most appointments with `worklist`, at least half of the shorter one.

    "" where there is none.
    """
    shares = {kept.heading.list_id: _in_common(kept.worklist, worklist) for kept in own}
    nearest = max(shares, key=lambda list_id: shares[list_id], default="")
    return nearest if nearest and shares[nearest] >= _LEAST_IN_COMMON else ""


def last_export(headings: Sequence[Heading], list_id: str) -> str:
    """The id of the latest export of a list; its own id if there is no later export."""
    follower = {heading.follows: heading.list_id for heading in headings if heading.follows}
    seen: set[str] = set()
    while list_id in follower and list_id not in seen:
        seen.add(list_id)
        list_id = follower[list_id]
    return list_id


def _in_common(one: pa.Table, other: pa.Table) -> float:
    """The appointments that two lists share, as a share of the shorter list."""
    names = [pc.unique(pc.drop_null(each["appointment_id"].combine_chunks())) for each in (one, other)]
    fewest = min(len(each) for each in names)
    return 0.0 if not fewest else int(pc.sum(pc.is_in(names[0], names[1])).as_py() or 0) / fewest
