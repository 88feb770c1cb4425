"""What an inspector is made of: what it keeps, how a row of it reads, and its widget."""
