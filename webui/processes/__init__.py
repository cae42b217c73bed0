"""Child processes: the wire to them. Knows nothing about what they do."""
