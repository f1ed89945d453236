"""From exact figures to those that may be published: tables by group, chart data, change since the last audit.

In: counts, comparisons and hidden cells. Out: rounded figures. Never: an exact count.
"""
