"""The skin on pyVoIP: its classes subclassed on our `sip` and `media`. Nothing outside imports pyVoIP."""

import importlib.metadata

import pyVoIP.VoIP  # noqa: F401 -- before anything imports pyVoIP.SIP: the two import each other

from autodialer.errors import IncompatiblePyVoIP

PYVOIP_VERSION = "1.6.8"


def check_pyvoip() -> None:
    """Raises IncompatiblePyVoIP unless the installed pyVoIP is the version whose methods we override.

    requirements.txt pins it, but pip installs another without a word into an environment that is shared.
    """
    installed = importlib.metadata.version("pyVoIP")
    if installed != PYVOIP_VERSION:
        raise IncompatiblePyVoIP(
            f"pyVoIP {installed} is installed, but this service is built on {PYVOIP_VERSION} exactly; run `make setup`."
        )
