"""What scenarios are drawn from: projects, crates, edits, trees, Dockerfiles, as data."""
