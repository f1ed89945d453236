"""ASGI middleware that every request passes: limits on bodies and requests, security headers, and the error format.

In: any request. Out: the same request, or an answer that refuses it. Never: content of a request in an answer.
"""
