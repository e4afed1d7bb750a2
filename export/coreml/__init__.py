"""Core ML packages: a writer, and an interpreter that reads them back on any system."""
