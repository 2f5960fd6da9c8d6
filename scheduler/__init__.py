"""The scheduler service: due times become queued runs."""
