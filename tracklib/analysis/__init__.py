"""From runs to answers: which are meant, how they differ, and what made the difference."""
