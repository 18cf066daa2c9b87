"""What may be asked of runs: conditions and orders as data, and how a text becomes them."""
