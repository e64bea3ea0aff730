"""The lab itself: what a test stands on is tested too."""
