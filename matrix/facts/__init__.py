"""Facts that decide between releases, evaluated for every snapshot: `glm-matrix facts [NAME]`.

model.py      a fact of matrix/facts.yaml, its predicates checked while loading
predicates.py what a predicate asks of a snapshot and of the libraries that it pins: yes, no or not known
evaluate.py   one fact over all releases of its engine, and the ranges in which it holds
lint.py       handwritten ranges (rules, known failures, patches, dsa_sms) held against the facts that decide them
"""
