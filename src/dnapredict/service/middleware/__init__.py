"""ASGI middleware between the network and the service: one module for each duty."""
