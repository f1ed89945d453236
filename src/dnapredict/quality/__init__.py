"""The report of `dnapredict check`: rounded figures, findings with actions, as JSON and as a page.

In: checked rows. Out: a report that may be shown. Never: a small count, or a value that could be a patient's.
"""
