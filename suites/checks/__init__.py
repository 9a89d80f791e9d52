"""Pure judgements: reply in, Finding out. No engine, no pytest."""
