"""The suites; each folder mirrors one of probe/."""
