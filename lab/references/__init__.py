"""Record the oracle's next tokens for the canaries, and choose the prompts to ask it."""
