"""A list of IDs in, what an API says of each out: one process, one SQLite file, no broker."""

__version__ = "0.1.0"
