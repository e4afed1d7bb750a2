"""Dilated convolutions in one dimension: models of sequences, whole and block by block."""
