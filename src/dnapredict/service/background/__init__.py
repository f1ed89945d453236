"""Work of the service that no request waits for.

In: the state of the home, and what was answered. Out: entries of the log and of the metrics. Never: a change of an
answer.
"""
