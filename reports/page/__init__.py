"""The results as HTML: an index, and a page for each cell. No network; one script and one style, named by hash."""
