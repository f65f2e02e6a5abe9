"""Models behind the two-verb protocol, and what they are made of."""
