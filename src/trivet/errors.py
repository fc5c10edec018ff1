"""Errors that reach a user as one line: what is wrong, with which value, and the mend."""


class UserError(ValueError):
    """Wrong input. The message is one line that names the key, the value, what is allowed and the mend."""
