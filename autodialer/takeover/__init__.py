"""The takeover of a prototype's database: its users and subscribers in ours, the old file kept."""
