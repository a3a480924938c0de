"""What a failure of S3 means: whether it passes by itself, and what a person should do about it."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from arm_batch.errors import StoreError, UnsupportedError
from arm_batch.store.s3_answers import BadAnswerError

FAILURES = (ClientError, BotoCoreError, BadAnswerError, ResponseParserError, HTTPError)
"""All that a request can raise; the last two leave botocore when an answer breaks off while it is parsed."""

_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

_PASSING_CODES = frozenset(
    {
        # With status 400 or 409; SlowDown and its like come with a status that says enough.
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "OperationAborted",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)

_PASSING_EXCEPTIONS = (
    BadAnswerError,
    ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    HTTPError,
    IncompleteReadError,
    ResponseParserError,
)

_NEVER_IN_TLS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")

_RENEW = "renew the credentials and run the same command again"
_CORRECT = "correct the credentials and run the same command again"

_WHAT_TO_DO = {
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "InvalidToken": _RENEW,
    "RequestExpired": _RENEW,
    "TokenRefreshRequired": _RENEW,
    "AuthFailure": _CORRECT,
    "InvalidAccessKeyId": _CORRECT,
    "InvalidClientTokenId": _CORRECT,
    "SignatureDoesNotMatch": _CORRECT,
    "UnrecognizedClientException": _CORRECT,
    "RequestTimeTooSkewed": "set the clock of this machine",
    "NoSuchBucket": "create the bucket or correct its name",
}
"""By error code. All but the last two concern the credentials, not an object."""

_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)


def status(error: Exception) -> int:
    """HTTP status of the answer; 0 without one."""
    if not isinstance(error, ClientError):
        return 0
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def code(error: Exception) -> str:
    """S3's code of the error; the status where the answer had no body; empty without an answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a little later. It may have taken effect this time already."""
    if isinstance(error, ClientError):
        return status(error) in _PASSING_STATUSES or code(error) in _PASSING_CODES
    if isinstance(error, SSLError) and any(cause in str(error) for cause in _NEVER_IN_TLS):
        return False
    return isinstance(error, _PASSING_EXCEPTIONS)


def is_missing(error: Exception) -> bool:
    """Whether the object does not exist, though its bucket does."""
    return status(error) == 404 and code(error) != "NoSuchBucket"


def explained(error: Exception, where: str, reading: bool) -> Exception:
    """The exception of the `ObjectStore` protocol for `error`, with a text of one line.

    Args:
        error: one of `FAILURES`.
        where: URL of what was asked for.
        reading: whether a missing or forbidden object has an exception of its own.
    """
    message = _message(error)
    if reading and is_missing(error):
        return FileNotFoundError(f"{where}: {message}")
    if reading and status(error) == 412:
        return FileNotFoundError(f"{where} changed since it was listed")
    if reading and status(error) == 403 and code(error) not in _WHAT_TO_DO:
        return PermissionError(f"{where}: {message}")
    if status(error) == 501:
        return UnsupportedError(f"{where}: {message}")
    if status(error) == 403 and code(error) not in _WHAT_TO_DO:
        return StoreError(f"{where}: {message}: allow it to these credentials, or use others")
    if isinstance(error, _CREDENTIALS):
        return StoreError(f"{where}: {message}: {_CORRECT}")
    advice = _WHAT_TO_DO.get(code(error))
    return StoreError(f"{where}: {message}: {advice}" if advice else f"{where}: {message}")


def _message(error: Exception) -> str:
    text = error.response.get("Error", {}).get("Message") if isinstance(error, ClientError) else None
    return " ".join(str(text or error).split()).rstrip(".")
