"""The commands that the seeds published, as text, and the reader that normalises them."""
