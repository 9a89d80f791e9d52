"""Certificates: what one cell showed, as an in-toto test result that anybody can derive again from evidence."""
