"""Whether a file computes what its model computes, how well, and which layer differs first: `zoo verify`."""
