"""Authentication: API keys, OpenID Connect tokens, and the scopes that each path needs.

In: a request. Out: the holder and scopes of its key. Never: a key in a log.
"""
