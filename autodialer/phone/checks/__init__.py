"""Checks of trunks: what a user's settings meet at the provider, step by step, said in plain words."""
