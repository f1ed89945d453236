"""The data contract: columns, codes, and how text is read as a time, a number or a code.

In: text as it was written. Out: typed expressions. Never: a patient's value in a message.
"""
