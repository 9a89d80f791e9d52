"""Words that are printed: launch scripts, tables, docker commands."""
