"""The eight properties; one test module each, one record each in `records`."""
