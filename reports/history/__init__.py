"""Answers from all earlier runs: trends, flake rates, the first bad run, baselines. Evidence files are the source; an
SQLite index beside them makes the answers quick, and can be thrown away."""
