"""CARP: published networks of protein sequences (Yang, Fusi & Lu, Cell Systems 2024)."""
