"""What must turn suites red: a stub engine, a fault proxy, and one catalogue of faults."""
