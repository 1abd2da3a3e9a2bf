"""Mail reaches a real SMTP server: over TLS whose certificate is checked, with a login, one for each event."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from collector.budgets.actions.config import EmailChannel
from collector.budgets.actions.messages import Notice
from collector.budgets.actions.outbox import DeliveryState
from collector.receive import TlsFiles
from tests.collector.budgets.actions.telling import RULE, event, happen, ledger, settled, telling
from tests.collector.receive import certificates
from tests.support.smtp_receiver import SmtpReceiver

TO = ("ops@example.com", "cfo@example.com")


@pytest.fixture(scope="module")
def server_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return certificates.make(tmp_path_factory.mktemp("mail"))


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    return context


def _channel(port: int, tls: str = "none", password: str = "") -> EmailChannel:
    username = "costs" if password else ""
    return EmailChannel("email", 5.0, "localhost", port, tls, username, password, "costs@example.com", TO)


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_one_mail_for_each_event_says_what_happened(
    tmp_path: Path, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server_files.cert_file))  # who signs is trusted
    context = None if tls == "none" else _context(server_files)
    events = event("acme"), event("Jörg & Söhne\nBcc: everybody@example.com")
    with (
        ledger(tmp_path) as store,
        SmtpReceiver(tls=context, is_tls_from_start=tls == "tls") as server,
        telling(store, [_channel(server.port, tls, "right")]) as deliveries,
    ):
        happen(store, deliveries, *events)
        mails = server.wait_for(2)
        settled(deliveries, DeliveryState.DELIVERED, 2)
    assert {(mail.sender, mail.recipients, mail.login) for mail in mails} == {("costs@example.com", TO, "costs:right")}
    assert {mail.is_encrypted for mail in mails} == {tls != "none"}
    by_id = {mail.message["Message-ID"]: mail.message for mail in mails}
    assert set(by_id) == {f"<{Notice(each).key}@example.com>" for each in events}
    first, second = (by_id[f"<{Notice(each).key}@example.com>"] for each in events)
    assert first["Subject"] == f"Budget {RULE.name}, customer acme: the limit of 5 USD is used up"
    assert "Spent: 5.01 USD." in first.get_content()
    assert second["Bcc"] is None
    assert "Jörg & Söhne Bcc: everybody@example.com" in second["Subject"]


def test_a_server_whose_certificate_is_not_trusted_gets_nothing(tmp_path: Path, server_files: TlsFiles) -> None:
    """Neither mail nor password; it is tried again, since certificates are renewed."""
    with (
        ledger(tmp_path) as store,
        SmtpReceiver(tls=_context(server_files)) as server,
        telling(store, [_channel(server.port, "starttls", "right")]) as deliveries,
    ):
        happen(store, deliveries, event())
        (waiting,) = settled(deliveries, DeliveryState.PENDING)
        while not waiting.attempts:
            (waiting,) = settled(deliveries, DeliveryState.PENDING)
        assert "CERTIFICATE_VERIFY_FAILED" in (waiting.last_error or "")
        assert server.mails == []


def test_a_mail_that_is_put_off_comes_again_and_one_that_is_refused_does_not(tmp_path: Path) -> None:
    """4yz is for now, 5yz for good, and a server that hangs up may be back."""
    said = ["451 try later", "", "250 ok", "554 no"]
    with (
        ledger(tmp_path) as store,
        SmtpReceiver(lambda number: said[number]) as server,
        telling(store, [_channel(server.port)]) as deliveries,
    ):
        happen(store, deliveries, event("later"))
        (done,) = settled(deliveries, DeliveryState.DELIVERED)
        happen(store, deliveries, event("never"))
        (dead,) = settled(deliveries, DeliveryState.DEAD)
        assert len({mail.message["Message-ID"] for mail in server.wait_for(4)}) == 2
    assert done.attempts == 3
    assert (dead.attempts, "554" in (dead.last_error or "")) == (1, True)


def test_one_recipient_that_is_refused_does_not_keep_the_mail_from_the_others(tmp_path: Path) -> None:
    with (
        ledger(tmp_path) as store,
        SmtpReceiver(refused=("cfo@example.com",)) as server,
        telling(store, [_channel(server.port)]) as deliveries,
    ):
        happen(store, deliveries, event())
        (done,) = settled(deliveries, DeliveryState.DELIVERED)
        assert [mail.recipients for mail in server.mails] == [("ops@example.com",)]
    assert done.last_error == "refused: cfo@example.com"


def test_a_wrong_login_is_tried_again_since_somebody_may_put_it_right(tmp_path: Path) -> None:
    with (
        ledger(tmp_path) as store,
        SmtpReceiver() as server,
        telling(store, [_channel(server.port, password="wrong")]) as deliveries,
    ):
        happen(store, deliveries, event())
        (waiting,) = settled(deliveries, DeliveryState.PENDING)
        while not waiting.attempts:
            (waiting,) = settled(deliveries, DeliveryState.PENDING)
        assert "SMTPAuthenticationError" in (waiting.last_error or "")
