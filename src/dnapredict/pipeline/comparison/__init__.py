"""Products and versions compared on the same appointments, and the challenger's risks that this needs.

In: an extract with the scores of products, or lists that the champion scored. Out: figures side by side. Never: a list
that depends on what is compared.
"""
