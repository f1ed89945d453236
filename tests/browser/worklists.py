"""Made-up worklists for the tests of the page."""

import datetime

import pyarrow as pa

REASONS = (
    ("Missed 3 of 5 past appointments", "Booked 94 days ahead", "Moved 2 times since it was booked"),
    ("Booked 61 days ahead", "Last attended 803 days before", None),
    ("Lives about 24 km from the site", None, None),
    (None, None, None),
)
ACTIONS = (
    "Call and ask what would make it easier to come",
    "Call to confirm that the appointment still suits",
    "Call and offer transport, or a telephone or video appointment",
    "Call to confirm that the patient can come",
)


def worklist(scored: int = 120, bad: int = 2) -> pa.Table:
    """`scored` appointments of which a tenth is to be called, and `bad` ones that could not be scored."""
    start = datetime.datetime(2026, 11, 30, 9)
    lines = [_line(place, scored, start) for place in range(scored)]
    lines += [
        {"appointment_id": f"BAD-{n}", "selected": False, "error": "This row starts before it was booked."}
        for n in range(bad)
    ]
    return pa.Table.from_pylist(lines, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        ("appointment_id", pa.string()),
        ("probability", pa.float64()),
        ("band", pa.string()),
        ("rank", pa.int64()),
        ("selected", pa.bool_()),
        ("action", pa.string()),
        ("reason_1", pa.string()),
        ("reason_2", pa.string()),
        ("reason_3", pa.string()),
        ("model_version", pa.string()),
        ("error", pa.string()),
        ("starts_at", pa.timestamp("us")),
        ("clinic_code", pa.string()),
    ]
)


def _line(place: int, scored: int, start: datetime.datetime) -> dict:
    probability = 0.6 * (1 - place / scored)
    selected = place < scored // 10
    kind = place % 4
    return {
        "appointment_id": f"APT-{place + 1:04d}",
        "probability": probability,
        "band": "High" if probability >= 0.4 else "Raised" if probability >= 0.2 else "Usual",
        "rank": place + 1,
        "selected": selected,
        "action": ACTIONS[kind] if selected else "Usual reminder",
        "reason_1": REASONS[kind][0],
        "reason_2": REASONS[kind][1],
        "reason_3": REASONS[kind][2],
        "model_version": "7",
        "starts_at": start + datetime.timedelta(days=place % 5, minutes=20 * (place % 21)),
        "clinic_code": ("ENT-1", "EYE-2", "DERM-4")[place % 3],
    }
