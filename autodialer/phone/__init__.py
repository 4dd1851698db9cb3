"""What a call is to the dialer, and the phones that make it."""
