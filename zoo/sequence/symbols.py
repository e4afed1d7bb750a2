"""Symbols that every ByteNet of two sequences has; importing them loads no TensorFlow."""

# What fills a source up, whose columns are zeros; what precedes a target; what ends it.
PADDING, START, END = 0, 0, 1
