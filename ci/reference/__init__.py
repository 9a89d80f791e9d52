"""Generates docs/reference from the code and the axes, and matrix/ran.json from docs/evidence.

    python -m ci.reference            write the pages
    python -m ci.reference --check    exit 1 when a committed page differs from what would be written

A page that a person would have to keep true by hand is not kept true.
"""
