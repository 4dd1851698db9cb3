"""Copies of a database: made while it is in use, kept before a migration, and put back."""
