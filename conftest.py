"""Wiring only: each layer brings its own pytest plugin, loaded in the direction the imports go."""

pytest_plugins = [
    "matrix.collection.dummy",
    "matrix.collection.plugin",
    "reports.evidence.continuing",  # before the plugin that imports it
    "reports.evidence.plugin",
    "reports.plugin_without_patch",
    "fixtures.session.tape_plugin",
    "fixtures.session.plugin",
    "fixtures.session.quiet",  # after the plugin that stops engines: what comes later is further outside
    "suites.plugin",
    "pytester",
]
