"""Credentials, where they come from, how they go on a connection, and what became of them."""
