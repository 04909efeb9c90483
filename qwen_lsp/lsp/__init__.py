"""The editor's edge: the only room that knows of LSP, and of pygls and lsprotocol.

Converts what editors say to the values of `core`, asks the engine, and converts its answers back. Knows nothing of
HTTP or models.
"""
