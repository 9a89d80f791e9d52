"""What can be done to the replies of a real engine on their way to the client, by name.

A fault is small and says which suite tests must turn red. `tests.faults.proxy` applies one at a time;
`python -m tests.mutation` holds the suites to them. Families are those of the stub's defects (tests.faults.stub).
"""
