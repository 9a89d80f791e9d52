"""Other load clients, side by side with ours in one run: `python -m tests.bench --only clients`."""
