"""The report about a project: what was tried, what was best, what made it so, as one page that opens offline."""
