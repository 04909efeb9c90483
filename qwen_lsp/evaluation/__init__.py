"""`qwen-lsp eval`: how good completions are on a person's own code, with figures and their uncertainty.

Promises: the same seed and files give the same holes; nothing but the engine is asked, and nothing is sent that the
engine would not send. Knows of no backend, no disk and no terminal: `cli/eval_.py` brings them.
"""
