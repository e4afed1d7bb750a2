"""The comparisons that the papers argue with, repeated: the same training for each variant of a network."""
