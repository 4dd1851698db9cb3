"""The API, put together: what api_srv.py and main.py are made of. Above all other layers: it connects them."""
