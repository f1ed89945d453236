"""Watch a model in use: its level, its inputs and its reach by week, with alarms of a known error rate.

Data flow: outcome store or any scores with outcomes -> weekly counts -> charts and alarms -> report.
"""
