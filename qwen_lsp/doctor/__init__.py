"""What `qwen-lsp doctor` looks at: checks as values in their order, each giving one finding."""
