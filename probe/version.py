"""The version, where everything may import it from."""

__version__ = "0.1.0"
RELEASED = "2026-11-01T00:00:00Z"
"""The month in which this version was made; a clock that shows less is wrong."""
