"""The HTTP interface: requests, answers, endpoints, and the model that answers.

In: requests. Out: answers as DESIGN fixes them. Never: a patient's value in an error.
"""
