"""An engine for a handful of rows: the same expressions, answered in Python without planning a query.

The embedded engine takes ten times as long to plan the factors of one appointment as they take to work out.
Here an expression is turned into a list of steps once, and each request runs down the list. It answers only
what it is certain to answer as the embedded engine would; anything else is left to that (`NotCertain`).
"""
