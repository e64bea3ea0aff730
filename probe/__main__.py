"""`python -m probe` is the same program as `probe-sender`."""

from probe.cli import console

if __name__ == "__main__":
    console()
