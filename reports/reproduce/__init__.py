"""Shows one failure to somebody else: a folder that asks it again, a shorter prompt, and a text for the engine's
maintainers. Everything comes from evidence and its kept replies."""
