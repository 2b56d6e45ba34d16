"""What `cache` predicts with: a build's vertices, what enters each one's key, and the reasons."""
