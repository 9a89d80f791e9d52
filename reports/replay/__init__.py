"""Judges kept replies again, without an engine, and names every difference."""
