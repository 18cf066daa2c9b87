"""Training frameworks that report to tracklib."""
