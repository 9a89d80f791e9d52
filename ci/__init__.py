"""Continuous integration: which runner serves which rig, what becomes a job, and the files generated from that."""
