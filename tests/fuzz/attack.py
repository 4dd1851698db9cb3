"""One target under atheris: `python -m tests.fuzz.attack TARGET [options and folders of libFuzzer]`."""

import sys

import atheris


def main() -> None:
    """Attack until libFuzzer's options say that it is enough."""
    with atheris.instrument_imports(include=["autodialer"]):
        from tests.fuzz.targets import TARGETS

    name, *options = sys.argv[1:]
    # libFuzzer starts itself again to merge, by its argv[0].
    atheris.Setup([f"{sys.executable} -m tests.fuzz.attack {name}", *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
