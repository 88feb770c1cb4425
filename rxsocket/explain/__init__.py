"""Events and states in words: for ``explain()``, the log, the command line and the pictures."""
