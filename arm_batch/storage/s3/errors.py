"""What a failure of S3 means: whether it passes by itself, and what a person should do about it."""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from arm_batch.errors import ObjectError, StoreError, UnsupportedError
from arm_batch.storage.s3.responses import BadAnswerError

FAILURES = (ClientError, BotoCoreError, BadAnswerError, ResponseParserError, HTTPError)
"""All that a request can raise; the last two leave botocore when an answer breaks off while it is parsed."""

_TRANSIENT_BELOW_500 = frozenset({408, 425, 429})

_LASTING_FROM_500 = frozenset({501, 505, 507, 508})
"""Not implemented, and a full disk; all others from 500 pass, those of gateways and their makers included."""

_TRANSIENT_CODES = frozenset(
    {
        # With status 400, 403 or 409; SlowDown and its like come with a status that says enough.
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "TooManyRequestsException",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)

_THROTTLED = "ThrottlingException"
"""How codes end, of S3 itself and of the keys that objects are encrypted with."""

_TRANSIENT_EXCEPTIONS = (
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
_REGION = "the bucket is in another region: name it by AWS_DEFAULT_REGION, or by --endpoint-url"

_OF_THE_RUN = {
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
}
"""What to do, by error code: no request can succeed before that."""

_OF_THE_BUCKET = {
    "NoSuchBucket": "create the bucket or correct its name",
    "301": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
}
"""The same where other buckets may be well."""

_ARCHIVED = "InvalidObjectState"

_PLAIN_DENIALS = frozenset({"Access Denied", "Forbidden"})
"""Messages that say no more than the status; others say who is not allowed what."""

_LONGEST = 300
"""Characters of a message: some answers are whole pages."""

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


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed a little later. It may have taken effect this time already."""
    if isinstance(error, ClientError):
        number, name = status(error), code(error)
        if number in _TRANSIENT_BELOW_500 or (number >= 500 and number not in _LASTING_FROM_500):
            return True
        return name in _TRANSIENT_CODES or name.endswith(_THROTTLED)
    if isinstance(error, SSLError) and any(cause in str(error) for cause in _NEVER_IN_TLS):
        return False
    return isinstance(error, _TRANSIENT_EXCEPTIONS)


def may_be_there(error: Exception) -> bool:
    """Whether an object may exist under the key after a conditional PUT that failed so."""
    return status(error) == 412 or is_transient(error)


def is_missing(error: Exception) -> bool:
    """Whether the object does not exist, though its bucket does."""
    return status(error) == 404 and code(error) != "NoSuchBucket"


def explained(error: Exception, where: str, reading: bool) -> Exception:
    """The exception of the `ObjectStore` protocol for `error`, with a text of one line.

    Args:
        error: one of `FAILURES`.
        where: URL of what was asked for.
        reading: whether it is one object, whose own fault has an exception of its own.
    """
    message, name = _message(error), code(error)
    if isinstance(error, _CREDENTIALS):
        return StoreError(f"{where}: {message}: {_CORRECT}")
    if name in _OF_THE_RUN:
        return StoreError(f"{where}: {message}: {_OF_THE_RUN[name]}")
    if reading and not is_transient(error) and (found := _of_the_object(error, where, message)) is not None:
        return found
    if status(error) == 501:
        return UnsupportedError(f"{where}: {message}")
    advice = _OF_THE_BUCKET.get(name) or _advice(error, name, reading)
    return StoreError(f"{where}: {message}: {advice}" if advice else f"{where}: {message}")


def _advice(error: Exception, name: str, reading: bool) -> str | None:
    if not reading and name.isdigit():
        # S3 gives a code of its own in the body of all answers but those to HEAD.
        return "this is no answer of S3: see whether the endpoint is right"
    return "allow it to these credentials, or use others" if status(error) == 403 else None


def _of_the_object(error: Exception, where: str, message: str) -> Exception | None:
    """The exception for an object that cannot be read while others may be; None where that is not what it is."""
    if is_missing(error):
        return FileNotFoundError(f"{where}: {message}")
    if status(error) in (412, 416):
        # 416: it has become shorter than what was asked for.
        return FileNotFoundError(f"{where} changed since it was listed")
    if code(error) == _ARCHIVED:
        return ObjectError(where, f"archived{_storage_class(error)}: restore it first, then use --retry-failed")
    if status(error) == 403:
        if message in _PLAIN_DENIALS:
            return PermissionError(f"{where}: {message}")
        return ObjectError(where, f"permission denied: {message}")
    if isinstance(error, ParamValidationError) or 300 <= status(error) < 500:
        advice = _OF_THE_BUCKET.get(code(error))
        return ObjectError(where, f"{message}: {advice}" if advice else message)
    return None


def _storage_class(error: Exception) -> str:
    assert isinstance(error, ClientError)
    # Beside the code and the message, botocore passes on whatever else the body says.
    said = cast(dict[str, str], error.response.get("Error", {}))
    found = said.get("StorageClass") or said.get("AccessTier")
    return f" (storage class {found})" if found else ""


def _message(error: Exception) -> str:
    text: object = error
    if isinstance(error, ClientError):
        text = error.response.get("Error", {}).get("Message") or error
    elif isinstance(error, EndpointConnectionError):
        text = f"no connection to {_origin(error)}: {_cause(error)}"
    elif isinstance(error, ReadTimeoutError):
        text = f"no answer from {_origin(error)}"
    elif isinstance(error, ConnectTimeoutError):
        text = f"no connection to {_origin(error)}: nobody answers"
    elif isinstance(error, SSLError):
        text = f"no secure connection to {_origin(error)}: {error.kwargs['error']}"
    elif isinstance(error, ParamValidationError):
        text = _invalid(str(error))
    elif isinstance(error, ResponseParserError):
        text = "the answer cannot be read as one of S3"
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


def _origin(error: BotoCoreError) -> str:
    """Scheme, host and port of who was asked; of a body that broke off only the path is known."""
    parts = urlsplit(str(error.kwargs.get("endpoint_url") or ""))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "the store"


def _cause(error: BotoCoreError) -> str:
    """What the system says, out of what urllib3 wraps around it."""
    text = str(error.kwargs.get("error") or error)
    found = re.search(r"\[Errno -?\d+\] ([^\[\]()]+)", text)
    return found[1].strip() if found else text


def _invalid(report: str) -> str:
    """What botocore refuses to send, without the patterns that it should have matched."""
    return report.partition("\n")[2].partition(": Bucket name must match")[0] or report
