"""The signs of life that an open connection gives."""
