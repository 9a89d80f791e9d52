"""Which release is the first bad one, and which part of its launch matters, where every answer may be wrong. Pure.

flake_model    how often a bad release fails and a good one seems to
posterior      answers -> how likely each release is the first bad one, and which are ruled out
search         which release to ask next, when to stop, and what can be said then
delta          the smallest set of settings that still fails, by repeated boots (ddmin)
releases       the releases between a good and a bad one, and the cell on each
steps          what changed for the cell from each release to the next: which steps are asked first
settings       the settings of a launch beyond its baseline, one unit each
"""
