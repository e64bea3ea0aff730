"""What the suites share: builders of records, strategies, scripted peers."""
