"""Audit the scores of several products on the same extract, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.data.small_numbers import publish_count
from dnapredict.errors import UsageError
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.pipeline.audit_source import Say, audit_input, read_source
from dnapredict.pipeline.auditing import remembered_context
from dnapredict.registry import Registry
from dnapredict.registry.audit_book import AuditBook

if TYPE_CHECKING:
    from dnapredict.fairness.report.side_by_side import ProductPlace


@dataclass(frozen=True)
class ProductComparison:
    """The place of each product, and the page that shows them side by side."""

    products: tuple["ProductPlace", ...]
    report: Path


def compare_products(
    path: Path,
    scores: Sequence[Path],
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path,
    say: Say | None = None,
) -> ProductComparison:
    """Audit each file of `scores` on the extract at `path`, which is read once, and write one page.

    Raises
    ------
    UsageError
        If two files have the same name, by which products are told apart.
    """
    from dnapredict import fairness as auditing
    from dnapredict.fairness.report.side_by_side import PRODUCTS, product_files, product_place
    from dnapredict.fairness.report_folder import REPORT, require_free, write_folder

    names = [file.stem for file in scores]
    if len({name.casefold() for name in names}) < len(names):
        raise UsageError("--scores: two files have the same name. Name each after its product and version.")
    require_free(out, proof=PRODUCTS)
    source = read_source(path, setting=setting, policy=policy, book=AuditBook(Registry(home)), model=None, say=say)
    results = []
    with auditing.remembered(home) as memory:
        for name, file in zip(names, scores, strict=True):
            given = audit_input(source, scores=file)
            context = remembered_context(given.context, memory, say)
            result = auditing.run(given.appointments, policy=policy, context=context)
            memory.keep(result.publication)
            results.append((product_place(name, result, tied=_tied_share(given.appointments, policy)), result))
        folder = write_folder(product_files(results), out, proof=PRODUCTS)
    return ProductComparison(tuple(place for place, _ in results), folder / REPORT)


def _tied_share(appointments: AuditData, policy: Policy) -> float | None:
    """Share of calls whose risk somebody had too who was not called in that week; None where it must be hidden."""
    table = appointments.table
    called = table["selected"].to_numpy()
    week = week_of(table["starts_at"].to_numpy().astype("datetime64[D]")).astype(np.int64)
    _, risk = np.unique(table["probability"].to_numpy(), return_inverse=True)
    same = week * (risk.max() + 1) + risk
    tied = publish_count(float(np.isin(same[called], same[~called]).sum()), policy.disclosure)
    calls = publish_count(float(called.sum()), policy.disclosure)
    return None if tied is None or not calls else round(min(1.0, tied / calls), 2)
