"""What passes between API and dialer: live state, commands, checks of trunks."""
