"""Published weights: the catalog, download and cache, file readers and name maps."""
