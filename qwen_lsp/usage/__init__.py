"""What completing costs and what became of it: counts by day, on this machine only, never text."""
