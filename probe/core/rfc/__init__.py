"""Requirements of the RFCs on a mail host, and what of a run breaks them."""
