"""A plan as something that serves: a script from an empty machine to an answer, a compose file, a systemd unit."""
