"""What a report adds up, counted as the calls are written."""
