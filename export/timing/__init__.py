"""Files timed in turns, each in a process of its own: `zoo bench`."""
