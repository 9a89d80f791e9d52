"""Shows results to a person: terminal, Markdown and HTML."""
