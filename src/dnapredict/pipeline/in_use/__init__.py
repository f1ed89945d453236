"""Watch the model in use, on an extract or on the outcome store of the home."""
