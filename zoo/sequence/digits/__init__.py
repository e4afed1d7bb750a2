"""Spoken digits, coded: the recordings, and how a WaveNet is trained and measured on them."""
