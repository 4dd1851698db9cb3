"""The commands of `python main.py`, for the person at the machine's console."""
