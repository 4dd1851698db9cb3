"""What schemathesis leaves out. It loads this in its own environment, without the project."""

import schemathesis


@schemathesis.hook
def filter_case(context, case):
    """An empty parameter of a query is an absent one, whatever its type: a browser sends those left alone so."""
    return "" not in (case.query or {}).values()
