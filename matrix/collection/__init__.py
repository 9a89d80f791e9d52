"""The matrix as pytest sees it: one item per test and cell."""
