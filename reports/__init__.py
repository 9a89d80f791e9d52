"""Evidence in, opinions out: JUnit, tables, gate, diff. Pure but for reading and writing its own files."""
