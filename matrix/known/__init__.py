"""Known failures: what is excused, by which signature, on which source, and until when. Pure."""
