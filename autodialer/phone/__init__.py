"""What a call is to the dialer, and the phones that make it: pyVoIP's classes on our `sip` and `media`."""
