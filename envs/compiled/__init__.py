"""Loops in machine code, one file per computation; what they mean is said where they are used."""
