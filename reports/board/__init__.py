"""What a person is shown: terminal, Markdown, HTML."""
