"""Saying things: messages out, and what became of them."""
