"""Which loop does the work, on which thread observers are called, and what time it is there."""
