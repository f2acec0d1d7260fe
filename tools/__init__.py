"""Development tools: `tools.devstack` starts the servers, `tools.dev` is behind every `make` target."""
