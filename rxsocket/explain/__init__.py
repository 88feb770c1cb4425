"""What happened, and what to do about it, in words: for ``explain()`` and for the log."""
