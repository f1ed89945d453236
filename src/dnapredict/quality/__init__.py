"""The report of `dnapredict check`: figures rounded as the house's rule says, what to do, JSON and a page."""
