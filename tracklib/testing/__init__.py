"""For those who write a store: the suite that every store passes."""
