"""The pages of one list: its lines, outcomes, rows to correct, call sheet, and filled workbooks.

In: a kept list, and what was recorded about it. Out: pages and files, and recorded outcomes. Never: a list of another
team.
"""
