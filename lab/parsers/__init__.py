"""Runs each release's own tool-call and reasoning parsers over the corpus, without a GPU."""
