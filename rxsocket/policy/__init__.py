"""Decisions as data: what follows an end, and when. No I/O and no clock in here."""
