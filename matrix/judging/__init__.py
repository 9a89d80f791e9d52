"""What can be known from an engine's words: logs, metrics, logprobs, counters. Text in, facts out. Pure."""
