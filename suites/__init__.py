"""The product: what a served GLM-5 must be able to do, one file per thing a user cares about."""
