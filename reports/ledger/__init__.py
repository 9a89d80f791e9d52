"""Holds every published number of the axes beside ours: reproduced or not, possible or not, and by which cause."""
