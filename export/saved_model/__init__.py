"""SavedModel folders: writer, artifact, runner and probe."""
