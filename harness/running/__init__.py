"""Effects beside `engine` and `scenario`: builds, scripts, containers, sweeping up."""
