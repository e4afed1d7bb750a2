"""SavedModel folders."""
