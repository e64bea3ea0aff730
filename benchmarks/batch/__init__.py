"""How much `probe-sender batch` costs, against a C client and what one would write oneself: see `__main__`."""
