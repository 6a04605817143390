"""What goes wrong in a way that the person at the terminal can mend."""


class LauncherError(Exception):
    """A message for the person, without a traceback: it says what is wrong and what to do."""
