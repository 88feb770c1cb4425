"""The life of one credential: attempts, verdicts, backoff, change of connection."""
