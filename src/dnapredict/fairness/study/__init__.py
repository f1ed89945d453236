"""A study of ways to make a list fairer: the rules that a trust may use, and what research offers.

fairlearn's threshold optimiser and its reductions are compared as research, with what they break. No list is
ever made with them.
"""

from dnapredict.fairness.study.method_comparison import Method, Study, study, study_files

__all__ = ["Method", "Study", "study", "study_files"]
