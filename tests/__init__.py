"""The project's own tests; see README.md beside this file for where a test goes."""
