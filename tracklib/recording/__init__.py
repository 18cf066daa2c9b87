"""The way of a value: into the journal, to the store, and home again after a crash."""
