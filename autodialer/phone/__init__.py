"""What a call is to the dialer, and the phones that make it: pyVoIP's classes on our `sip` and `media`."""

import pyVoIP.VoIP  # noqa: F401 -- before anything imports pyVoIP.SIP: the two import each other
