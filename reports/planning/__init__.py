"""`glm-matrix plan`: which cells a run asks, when each launch starts, what is left out and why. It starts nothing."""
