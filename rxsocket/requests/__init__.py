"""Requests, and their answers."""
