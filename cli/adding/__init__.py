"""`glm-matrix add KIND`: writes an entry of the YAML from flags, and takes it back when the matrix refuses it."""
