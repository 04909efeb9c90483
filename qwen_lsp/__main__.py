"""`python -m qwen_lsp` is the `qwen-lsp` command."""

import sys

from qwen_lsp.cli import main

if __name__ == "__main__":
    sys.exit(main())
