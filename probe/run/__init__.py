"""Floor 3, the shell: from an address to the evidence about it."""
