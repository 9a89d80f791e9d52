"""Green or red, and why: expected cells, policy, evidence."""
