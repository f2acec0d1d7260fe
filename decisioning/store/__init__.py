"""The only code that joins PostgreSQL, Redis and the pure core."""
