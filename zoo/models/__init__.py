"""The models by name, and what they are built of: one paper per file, one family of backbones per file."""
