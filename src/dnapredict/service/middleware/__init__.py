"""What stands between the network and the service: one module a duty, each plain ASGI."""
