"""A study of methods that make a list fairer: rules that a trust may use, and methods from research.

fairlearn's threshold optimiser and reductions are compared as research, with the properties that they violate. No
list is made with them.
"""

from dnapredict.fairness.study.method_comparison import Study, study, study_files

__all__ = ["Study", "study", "study_files"]
