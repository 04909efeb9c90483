"""Setting an editor up: what has to stand where, as values; only `disk.py` looks and writes."""
