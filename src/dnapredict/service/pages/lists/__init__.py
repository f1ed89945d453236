"""The pages of one list: its lines, outcomes, rows to put right, call sheet, and workbooks given back.

In: a kept list, and what was recorded about it. Out: pages and files, and recorded outcomes. Never: a list of another
team.
"""
