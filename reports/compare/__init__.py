"""Compares two runs, or two cells of one run: what changed beyond noise."""
