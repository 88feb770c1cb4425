"""Where events go: the streams, the log, the history."""
