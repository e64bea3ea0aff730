"""The program as its users meet it: arguments, streams, signals, exit codes."""
