"""What a user gave that cannot be used."""

__all__ = ["InputError"]


class InputError(ValueError):
    """An argument, an option or a file that cannot be used; the message says what would be right. The command shows it as one line."""
