"""ASGI middleware, one module for each duty: limits, access log, security headers, error format."""
