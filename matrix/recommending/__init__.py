"""Which launches to try first on a rig: ranked by who has run them, each number with its source. Pure."""
