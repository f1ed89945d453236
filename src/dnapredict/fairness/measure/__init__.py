"""Measurement for the audit: groups, counts, rates and their intervals.

In: outcomes, risks and selections. Out: figures by group. Never: anything printed without disclosure
control.
"""
