"""The call jobs: from a subscriber who is due to a claim, and from an outcome to what follows."""
