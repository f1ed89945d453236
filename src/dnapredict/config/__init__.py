"""The TOML files that trusts own, as frozen models: one module a file."""
