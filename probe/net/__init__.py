"""Floor 2, adapters: the only place that speaks DNS, SMTP and TCP."""
