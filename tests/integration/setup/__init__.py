"""Set-up, private engines and invocation, on real engines."""
