"""Authentication: API keys, OpenID Connect tokens, and who may ask for what.

In: a request. Out: the holder and scopes of its key. Never: a key in a log.
"""
