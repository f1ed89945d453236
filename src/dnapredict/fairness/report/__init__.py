"""The audit report: wording, charts and pages.

In: figures that may be published. Out: HTML, JSON and CSV. Never: a count that disclosure control did not
pass.
"""
