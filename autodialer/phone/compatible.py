"""Refuses to start on a pyVoIP that our phones were not built on."""

import importlib.metadata

from autodialer.errors import IncompatiblePyVoIP

PYVOIP_VERSION = "1.6.8"


def check_pyvoip() -> None:
    """Raises IncompatiblePyVoIP unless the installed pyVoIP is the one whose methods we override."""
    installed = importlib.metadata.version("pyVoIP")
    if installed != PYVOIP_VERSION:
        raise IncompatiblePyVoIP(
            f"pyVoIP {installed} is installed, but this service is built on {PYVOIP_VERSION} exactly; run `make setup`."
        )
