"""Defines what the suites ask for: protocols, depths, prompt lengths and sampling."""
