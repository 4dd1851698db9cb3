"""HTTP: who may ask, what was asked, and what is answered. What is done is in api_srv.py."""
