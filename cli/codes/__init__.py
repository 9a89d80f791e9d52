"""`glm-matrix why CODE`: one page in one shape for every status, rule, check, known failure and fault.

The words stand with the thing: matrix/judging/statuses.yaml, suites/checks/checks.yaml, matrix/checking/checks.yaml,
the fields of rules and known failures, and those of the faults in tests/faults.
"""
