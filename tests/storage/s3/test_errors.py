"""What users meet of S3: the right words, and the right kind of error."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from arm_batch.errors import ImageError, ObjectError, StoreError, UnsupportedError
from arm_batch.inputs.sources import of_one_image
from arm_batch.storage.s3.errors import explained, is_transient

WHERE = "s3://b/k.png"

RENEW = "renew the credentials and run the same command again"
CORRECT = "correct the credentials and run the same command again"
REGION = "the bucket is in another region: name it by AWS_DEFAULT_REGION, or by --endpoint-url"


def answer(status: int, code: str, message: str, **more: str) -> ClientError:
    error = {"Code": code, "Message": message, **more}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")  # type: ignore[typeddict-item]


OF_THE_RUN = [
    (answer(400, "ExpiredToken", "The provided token has expired."), RENEW),
    (answer(400, "InvalidToken", "The provided token is malformed."), RENEW),
    (answer(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."), CORRECT),
    (answer(403, "SignatureDoesNotMatch", "The request signature we calculated does not match."), CORRECT),
    (answer(403, "RequestTimeTooSkewed", "The difference is too large."), "set the clock of this machine"),
]


@pytest.mark.parametrize(
    ("error", "advice"), OF_THE_RUN, ids=lambda value: getattr(value, "response", None) and ""
)
def test_what_no_request_survives_ends_the_run(error: ClientError, advice: str) -> None:
    assert not is_transient(error)
    for reading in (True, False):
        found = explained(error, WHERE, reading)
        assert type(found) is StoreError
        assert str(found) == f"{WHERE}: {error.response['Error']['Message'].rstrip('.')}: {advice}"


ARCHIVED = answer(
    403,
    "InvalidObjectState",
    "The operation is not valid for the object's storage class",
    StorageClass="DEEP_ARCHIVE",
)
KMS = "User: u is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext"

OF_ONE_OBJECT = [
    (ARCHIVED, "archived (storage class DEEP_ARCHIVE): restore it first, then use --retry-failed"),
    (
        answer(403, "InvalidObjectState", "The operation is not valid for the object's access tier"),
        "archived: restore it first, then use --retry-failed",
    ),
    (answer(403, "AccessDenied", "Access Denied"), "permission denied"),
    (answer(403, "403", "Forbidden"), "permission denied"),
    (answer(403, "AccessDenied", KMS), f"permission denied: {KMS}"),
    (answer(400, "KMS.DisabledException", "arn:x is disabled."), "arn:x is disabled"),
    (answer(400, "InvalidRequest", "The object was stored using SSE-C."), "The object was stored using SSE-C"),
    (answer(400, "KeyTooLongError", "Your key is too long"), "Your key is too long"),
    (
        answer(404, "NoSuchBucket", "The specified bucket does not exist"),
        "The specified bucket does not exist: create the bucket or correct its name",
    ),
    (answer(301, "PermanentRedirect", "Use the endpoint"), f"Use the endpoint: {REGION}"),
    (answer(301, "301", "Moved Permanently"), f"Moved Permanently: {REGION}"),
    (answer(400, "AuthorizationHeaderMalformed", "the region is wrong"), f"the region is wrong: {REGION}"),
    (answer(404, "NoSuchKey", "The specified key does not exist."), "gone"),
    (answer(412, "PreconditionFailed", "x"), "gone"),
    (answer(416, "InvalidRange", "x"), "gone"),
    (
        ParamValidationError(report='Invalid bucket name "a b": Bucket name must match the regex "^[a-z]$"'),
        'Invalid bucket name "a b"',
    ),
]


@pytest.mark.parametrize(
    ("error", "row"), OF_ONE_OBJECT, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_ails_one_object_is_its_row(error: Exception, row: str) -> None:
    assert not is_transient(error)
    with pytest.raises(ImageError) as caught, of_one_image("gone"):
        raise explained(error, WHERE, reading=True)
    assert str(caught.value) == row
    # Where it is not an image, it is a failure of the store, in one line that says where.
    written = explained(error, WHERE, reading=False)
    assert type(written) is StoreError
    assert str(written).startswith(f"{WHERE}: ")
    assert "\n" not in str(written)


def test_an_object_of_no_use_says_where_it_is() -> None:
    found = explained(ARCHIVED, WHERE, reading=True)
    assert isinstance(found, ObjectError)
    assert str(found) == f"{WHERE}: {found.reason}"


@pytest.mark.parametrize(
    "error",
    [
        *(answer(status, "x", "x") for status in (408, 425, 429, 500, 502, 503, 504, 509, 520, 522, 529)),
        answer(503, "SlowDown", "Please reduce your request rate."),
        answer(400, "RequestTimeout", "Your socket connection was not read from"),
        answer(409, "OperationAborted", "x"),
        answer(400, "ThrottlingException", "Rate exceeded"),
        answer(400, "KMS.ThrottlingException", "Rate exceeded"),
        answer(403, "RequestThrottled", "x"),
    ],
    ids=lambda error: str(error.response["ResponseMetadata"]["HTTPStatusCode"]),
)
def test_what_passes(error: ClientError) -> None:
    assert is_transient(error)
    # Not the object's fault, should it never pass.
    assert type(explained(error, WHERE, reading=True)) is StoreError


def test_what_a_server_cannot_do() -> None:
    assert not is_transient(answer(501, "NotImplemented", "x"))
    assert type(explained(answer(501, "NotImplemented", "x"), WHERE, reading=True)) is UnsupportedError
    assert not is_transient(answer(507, "XMinioStorageFull", "x"))


def test_somebody_else_at_the_endpoint() -> None:
    found = explained(answer(404, "404", "Not Found"), "s3://b", reading=False)
    assert str(found) == "s3://b: Not Found: this is no answer of S3: see whether the endpoint is right"


def test_a_page_in_place_of_an_answer_is_cut() -> None:
    assert len(str(explained(answer(400, "x", "<p>no " * 1000), WHERE, reading=False))) < 400
