"""Exact counts of an extract's quality, before they are rounded for a report.

In: checked rows. Out: counts. Never: a figure that is printed without `quality.published_figures`.
"""
