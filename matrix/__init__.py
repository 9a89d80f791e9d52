"""The compatibility matrix as pure data: YAML in, cells and plans out. Knows nothing of processes, docker or GPUs."""
