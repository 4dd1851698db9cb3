"""Dialing, put together: what dialer.py is made of, where store, campaign rules and phones meet."""
