"""From text to the model: lines, words, instructions, mounts, variables, ignore files."""
