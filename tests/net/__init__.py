"""The adapters, on loopback."""
