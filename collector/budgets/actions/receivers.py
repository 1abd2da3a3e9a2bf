"""One try of one message on one channel: signed webhook, Slack-compatible chat, mail. Nothing here raises."""

from __future__ import annotations

import hmac
import http.client
import json
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parsedate_to_datetime
from enum import Enum
from hashlib import sha256
from time import time
from typing import NamedTuple
from urllib.parse import urlsplit

from collector.budgets.actions.config import AnyChannel, EmailChannel, SlackChannel, WebhookChannel
from collector.budgets.actions.messages import Notice, body, plain, subject, text

RETRIED_4XX = frozenset({408, 425, 429})
"""RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4: "later". Every other 4xx says that this request will never be taken."""
MAX_ANSWER_BYTES = 64 * 1024
"""What is read of an answer. Nobody needs more of it, and a receiver may never stop talking."""
TIMESTAMP_HEADER = "X-Otel-Cost-Timestamp"
SIGNATURE_HEADER = "X-Otel-Cost-Signature"


class Verdict(Enum):
    """What became of one try."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"  # trying again would not help


class Tried(NamedTuple):
    """A try's outcome. `retry_after_seconds`: the receiver's hint."""

    verdict: Verdict
    error: str = ""
    retry_after_seconds: float = 0.0


def send(channel: AnyChannel, notice: Notice, clock: Callable[[], float] = time) -> Tried:
    """Try once; at most a few times the channel's timeout."""
    try:
        if isinstance(channel, WebhookChannel):
            return _post_webhook(channel, notice, int(clock()))
        if isinstance(channel, SlackChannel):
            return _post(channel.url, slack_body(notice), {}, channel.timeout_seconds)
        return _mail(channel, notice)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ssl's and smtplib's are OSErrors
        return Tried(Verdict.RETRY, _words(error))


def signature(secret: str, timestamp: str, payload: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 of `timestamp.payload`."""
    signed = timestamp.encode() + b"." + payload
    return "v1=" + hmac.new(secret.encode(), signed, sha256).hexdigest()


def slack_body(notice: Notice) -> bytes:
    """`{"text": ...}`, with what Slack would take as markup made harmless (its docs, "Escaping text")."""
    escaped = text(notice).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": escaped}).encode()


def mail(channel: EmailChannel, notice: Notice, clock: Callable[[], float] = time) -> EmailMessage:
    """One mail. Its Message-ID is that of the event: a second copy of it is seen as one."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = plain(subject(notice))
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Date"] = format_datetime(datetime.fromtimestamp(clock(), UTC))
    message["Message-ID"] = f"<{notice.key}@{channel.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    lines = [text(notice), "", *(f"{key}: {plain(str(value))}" for key, value in body(notice).items() if key != "text")]
    message.set_content("\n".join(lines))
    return message


def _post_webhook(channel: WebhookChannel, notice: Notice, now_seconds: int) -> Tried:
    payload, timestamp = json.dumps(body(notice)).encode(), str(now_seconds)
    headers = {
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(channel.secret, timestamp, payload),
        "Idempotency-Key": notice.key,
    }
    return _post(channel.url, payload, headers, channel.timeout_seconds)


def _post(url: str, payload: bytes, headers: dict[str, str], timeout_seconds: float) -> Tried:
    parts = urlsplit(url)
    host, path = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout_seconds, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout_seconds)
    )
    try:
        sent = {"Content-Type": "application/json", "User-Agent": "otel-cost", "Connection": "close", **headers}
        connection.request("POST", path, payload, sent)
        answer = connection.getresponse()
        if 200 <= answer.status < 300:
            return Tried(Verdict.DELIVERED)
        return _judged(answer.status, answer.read1(MAX_ANSWER_BYTES), answer.getheader("Retry-After"))
    finally:
        connection.close()


def _judged(status: int, said: bytes, retry_after: str | None) -> Tried:
    error = f"HTTP {status}: {plain(said[:400].decode('utf-8', 'replace'))}".rstrip(": ")
    if 400 <= status < 500 and status not in RETRIED_4XX:
        return Tried(Verdict.DEAD, error)
    return Tried(Verdict.RETRY, error, _seconds(retry_after))


def _mail(channel: EmailChannel, notice: Notice) -> Tried:
    context, timeout_seconds = ssl.create_default_context(), channel.timeout_seconds
    server: smtplib.SMTP
    if channel.tls == "tls":
        server = smtplib.SMTP_SSL(channel.host, channel.port, timeout=timeout_seconds, context=context)
    else:
        server = smtplib.SMTP(channel.host, channel.port, timeout=timeout_seconds)
    try:
        if channel.tls == "starttls":
            server.starttls(context=context)
        if channel.username:
            server.login(channel.username, channel.password)
        refused = server.send_message(mail(channel, notice), channel.sender, list(channel.to))
    except smtplib.SMTPRecipientsRefused as error:  # all of them
        return _smtp_judged({code for code, _ in error.recipients.values()}, error)
    except smtplib.SMTPResponseException as error:
        return _smtp_judged({error.smtp_code}, error)
    finally:
        _hang_up(server)
    # some have it: sending again would repeat it for them
    return Tried(Verdict.DELIVERED, f"refused: {', '.join(refused)}" if refused else "")


def _smtp_judged(codes: set[int], error: Exception) -> Tried:
    """RFC 5321 4.2.1: 5yz is for good; a wrong login may be put right by somebody, so it is tried again."""
    is_final = all(500 <= code < 600 for code in codes) and not isinstance(error, smtplib.SMTPAuthenticationError)
    return Tried(Verdict.DEAD if is_final else Verdict.RETRY, _words(error))


def _hang_up(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        server.close()


def _seconds(value: str | None) -> float:
    """`Retry-After`: seconds or an HTTP date (RFC 9110 10.2.3); 0 when it is neither."""
    if value is None:
        return 0.0
    if value.strip().isdecimal() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return 0.0


def _words(error: Exception) -> str:
    return plain(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
