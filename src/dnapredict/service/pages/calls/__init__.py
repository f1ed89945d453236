"""Call mode: one patient a page, in the order in which to call.

In: a kept list, its contact details, and what was recorded. Out: pages, and recorded outcomes. Never: a patient's name
in an address or a log.
"""
