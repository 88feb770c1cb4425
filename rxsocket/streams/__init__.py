"""Streams that are shared, held for whom they are meant, and read at a consumer's pace."""
