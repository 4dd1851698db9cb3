"""Campaigns: their rules, their states, and how far they are."""
