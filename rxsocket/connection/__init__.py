"""One connection as a cold Observable. No retry, no policy."""
