"""What is forgotten: data past its time, and a person on request."""
