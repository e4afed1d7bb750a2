"""Causal models of sequences as files that take blocks of samples, with their state as input and output."""
