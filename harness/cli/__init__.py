"""The `layerproof` command: its subcommands and how answers are shown."""
