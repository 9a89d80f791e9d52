"""Compares an earlier run with a later one: may I upgrade? YES, NO or UNKNOWN, with a line for each cell's change."""
