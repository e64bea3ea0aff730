"""Tests that need root: network namespaces, nftables and a real Exim, on loopback or in namespaces of their own."""
