"""HTTP: callers and their rights, their requests, and the answers. What is done is in api_srv.py."""
