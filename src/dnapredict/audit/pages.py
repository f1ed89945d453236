"""Fill a template: every page of the audit is one file with its styles inside, no script, no request."""

from typing import Any

import jinja2

from dnapredict.audit import phrases
from dnapredict.audit.telling import told

__all__ = ["page"]


def page(template: str, **content: Any) -> str:
    """The HTML of `template`; a name that the template asks for and nobody gives is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dnapredict.audit", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        in_100=phrases.in_100,
        range_of=phrases.range_of,
        ratio_of=phrases.ratio_of,
        count_of=phrases.count_of,
        named=phrases.named,
        either=phrases.either,
        told=told,
    )
    return environment.get_template(template).render(**content)
