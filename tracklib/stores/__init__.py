"""Where runs live: the contract in `base`, one module a store."""
