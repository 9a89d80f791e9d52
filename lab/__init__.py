"""What only maintainers run: training, snapshot extraction, reference recording. Nothing else imports it."""
