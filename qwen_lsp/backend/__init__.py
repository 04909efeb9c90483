"""The only HTTP and the only child processes: settings become a service, a prompt becomes streamed text."""
