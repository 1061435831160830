"""The tree of domain errors. Each has a stable code for machines and a Spanish sentence for people.

StylistError
  InvalidInput  NotFound  Conflict  Unauthorized  Forbidden  RateLimited
  RenderError      a render without a picture; `retryable` says whether again helps
    SwatchUnreadable  LookUnavailable  LookUnreadable  LetterUnreadable  EngineFailed
  StorageError     bytes could not be stored or read back
  LeaseLost        the claim is no longer ours: stop working, settle nothing
"""

from typing import ClassVar


class StylistError(Exception):
    """Base of everything this project raises on purpose; `str(error)` may be shown to a client."""

    code: ClassVar[str] = "error"
    retryable: bool = False


class InvalidInput(StylistError):
    """A value was refused; `field` is its place in the request: cuts, colors/0/hex_value."""

    code = "invalid-input"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(StylistError):
    code = "not-found"


class Conflict(StylistError):
    code = "conflict"


class Unauthorized(StylistError):
    code = "unauthorized"


class Forbidden(StylistError):
    code = "forbidden"


class RateLimited(StylistError):
    """Too many of something; `retry_after_seconds` says when to come back."""

    code = "rate-limited"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RenderError(StylistError):
    code = "render-error"


class SwatchUnreadable(RenderError):
    """The cloth cannot be read: the order fails, it never renders another cloth."""

    code = "swatch-unreadable"


class LookUnavailable(RenderError):
    """This worker does not have the look pack in the version that was ordered; another may."""

    code = "look-unavailable"
    retryable = True


class LookUnreadable(RenderError):
    """The look's uploaded pack is gone from the store, or is not what was uploaded."""

    code = "look-unreadable"


class LetterUnreadable(RenderError):
    """This worker does not know such a letter; one of a newer release does."""

    code = "letter-unreadable"
    retryable = True


class EngineFailed(RenderError):
    """The engine broke on a valid order."""

    code = "engine-failed"
    retryable = True


class StorageError(StylistError):
    code = "storage-error"
    retryable = True


class DatabaseUnavailable(StylistError):
    """After this error around a COMMIT nobody knows whether it happened: look, never guess."""

    code = "database-unavailable"
    retryable = True


class LeaseLost(StylistError):
    code = "lease-lost"
