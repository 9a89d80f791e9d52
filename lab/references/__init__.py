"""Records what the oracle says of the canaries' next tokens, and chooses what to ask it."""
