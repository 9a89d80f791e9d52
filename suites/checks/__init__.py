"""Judges replies: a reply in, a Finding out. Pure functions without an engine and without pytest."""
