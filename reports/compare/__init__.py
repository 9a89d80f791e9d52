"""Two runs, or two cells of one, side by side: what changed, beyond noise."""
