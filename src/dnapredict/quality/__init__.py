"""The report of `dnapredict check`: rounded figures, findings with actions, as JSON and as a page.

`outcome_counts`, `record_quality` and `quality_profile` count exactly; `published_figures` hides small counts and
rounds the others; `quality_findings`, `label_checks` and `leak_faults` say what is wrong and what to do.

In: checked rows. Out: a report that may be shown. Never: a small count, or a value that could be a patient's, and
no exact count past `published_figures`.
"""
