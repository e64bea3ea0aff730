"""A mail world on loopback: a small name server and scripted mail hosts, for the demo and the tests."""
