"""Asks a server that somebody runs, whatever it serves, and says which cell it comes nearest to."""
