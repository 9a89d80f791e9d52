"""Shares a mutmut run among machines, and adds up what they found: docs/how-to/measure-the-tests.md."""
