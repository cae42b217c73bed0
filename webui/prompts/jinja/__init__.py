"""Templates of strangers, rendered in a bounded sandbox that keeps the origin of every character."""
