"""Randomised trials of the calls: their design, their effect, and a ranking by benefit.

Data flow: design (size, pre-registration) -> arms on each list (`worklist.plan.trial_arms`) -> outcome store -> effect
-> report.
"""
