"""Imports of uploaded tables: callbases and lists of numbers that are not to be called."""
