"""The run's facts, one JSON object a line, appended whole by one writer. Opinions (gate, tables, diff) read this later.

Every record: {"kind", "t" (ISO 8601 UTC), "run" (id)} plus, where they apply, "cell", "fingerprint", "test" and:

| kind        | fields                                                                                        |
|-------------|-----------------------------------------------------------------------------------------------|
| run         | argv, selection (cell ids), host (facts), versions, matrix_sha256, commit, xdist (bool)        |
| cell        | facts (rig, sm, engine, release, version, checkpoint, format, features), fingerprint, script   |
| expected    | tests (the names that must report for this cell)                                               |
| launch      | outcome (ok, HostError, EngineExited, EngineNotReady, ...), launch_s, phases_s, message,       |
|             | versions (as the engine itself reports), log, command (redacted), stub (bool), attached (bool) |
| finding     | check, ok, sensitive, expected, got, item, detail, data                                        |
| measurement | name, value, unit, conditions                                                                  |
| proof       | feature, outcome (proven, refuted, unproven), rung, detail, data                               |
| result      | status (matrix.status.Status), duration_s, message, nodeid, known_failure                      |
| end         | exit_code, interrupted, duration_s, launches                                                   |

A crash leaves whole lines: readers ignore nothing and a torn last line is an error that says so.
"""
