"""Authentication: keys, sign-in links, the trust's accounts (OpenID Connect), and who may reach which address.

In: a request. Out: the person or program that sent it. Never: a key, a token or a link in a log.
"""
