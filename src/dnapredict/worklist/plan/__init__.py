"""The plan of a worklist: how many calls, who is called, in which order, by when, and what to offer.

In: risks, deprivation deciles, clinics and dates. Out: rank, selection and action of each appointment. Never: an
action that withholds care.
"""
