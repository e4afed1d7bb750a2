"""Writers: each puts one format at a path, without asking whether the result is right."""
