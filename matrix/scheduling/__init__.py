"""Which launches a run needs, how long each will take, and in which order they fill the GPUs. Pure: starts nothing."""
