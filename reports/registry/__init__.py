"""A git directory of certificates with the evidence that they are derived from: added to, checked, read by others."""
