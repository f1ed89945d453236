"""The HTML that a notebook shows for a result: aggregates only, every text escaped, small counts hidden."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import jinja2

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.small_numbers import publish_count

_TEMPLATE: Final = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    """\
<div class="dnapredict">
<h4>{{ title }}</h4>
<table>
{% for name, value in facts.items() %}
<tr><th style="text-align:left" scope="row">{{ name }}</th><td style="text-align:left">{{ value }}</td></tr>
{% endfor %}
</table>
{% if rows %}
<table>
<thead><tr>{% for name in head %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% endif %}
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
</div>
"""
)


def summary(
    title: str,
    facts: Mapping[str, object],
    *,
    head: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
    notes: Iterable[str] = (),
) -> str:
    """A heading, facts by name, a table and notes.

    >>> "&lt;b&gt;" in summary("<b>", {}) and "<b>" not in summary("<b>", {})
    True
    """
    return _TEMPLATE.render(title=title, facts=facts, head=head, rows=list(rows), notes=list(notes))


def count(n: int) -> str:
    """A count under the small-number rule of fairness/policy.toml: rounded, or "hidden"."""
    shown = publish_count(n, load(shipped("fairness/policy.toml"), Policy).disclosure)
    return "hidden" if shown is None else f"{shown:,}"


def figure(value: float | int | None) -> str:
    """A figure to three places.

    >>> figure(0.74321), figure(None)
    ('0.743', 'not estimable')
    """
    return "not estimable" if value is None else f"{value:.3f}"
