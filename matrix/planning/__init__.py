"""Every combination of the axes, which of them can run, and for each the whole plan of its launch. Pure."""
