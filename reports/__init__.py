"""Turns evidence into opinions: JUnit, tables, gate, comparisons. Pure, except for reading and writing its own
files."""
