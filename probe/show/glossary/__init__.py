"""What every word of a report means, as entries with an example each; pure, from the tables of the core.

One module for each table, so that a word costs no more than the table it stands in. Which words there are is
known to `probe.cli.glossary`, which loads them late.
"""
