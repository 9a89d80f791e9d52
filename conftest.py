"""Wiring only: each layer brings its own pytest plugin, loaded in the direction the imports go."""

pytest_plugins = [
    "matrix.plugin", "reports.plugin", "reports.removal", "fixtures.taping", "fixtures.plugin", "suites.plugin",
    "pytester",
]  # fmt: skip
