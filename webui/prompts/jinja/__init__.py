"""Templates of strangers in a bounded sandbox that keeps the origin of every character."""
