"""A Dockerfile's structure without an engine: its graph, the roles of its stages, the checks."""
