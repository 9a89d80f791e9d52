"""Tests what a served GLM-5 must be able to do, with one file for each thing that a user cares about."""
