"""The gates of the audit: each asks one question of the policy and gives a verdict.

In: counts, intervals and the policy. Out: verdicts. Never: a limit that the policy does not hold.
"""
