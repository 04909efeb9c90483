"""qwen-lsp: ghost text from Qwen-Coder in any editor that speaks the Language Server Protocol."""

__version__ = "0.1.0"
