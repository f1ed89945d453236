"""One audit over several trusts: files of counts, their protection, and the verdict on their sum.

In: the counts of a trust. Out: a sealed file; the verdict of the pooled counts, and each trust's place. Never: a row.
"""
