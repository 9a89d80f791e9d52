"""Decides green or red, with reasons, from expected cells, policy and evidence."""
