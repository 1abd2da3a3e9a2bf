"""A small real SMTP server (RFC 5321, STARTTLS of RFC 3207, AUTH PLAIN of RFC 4954) that keeps what it is sent."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Condition, Event, Thread
from types import TracebackType
from typing import NamedTuple, Self


class Mail(NamedTuple):
    """One mail as it was handed in."""

    sender: str
    recipients: tuple[str, ...]
    payload: bytes
    login: str | None  # "user:password"
    is_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.payload, policy=policy.default)


class SmtpReceiver:
    """`answer`: what is said to the end of the data of a mail, by its number from 0; "" hangs up."""

    def __init__(
        self,
        answer: Callable[[int], str] = lambda _: "250 ok",
        *,
        tls: ssl.SSLContext | None = None,
        is_tls_from_start: bool = False,
        refused: tuple[str, ...] = (),
    ) -> None:
        self.mails: list[Mail] = []
        self.port = 0
        self._answer = answer
        self._tls = tls
        self._is_tls_from_start = is_tls_from_start
        self._refused = refused
        self._changed = Condition()
        self._started, self._done = Event(), Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def wait_for(self, count: int, timeout_seconds: float = 20.0) -> list[Mail]:
        """The mails, as soon as there are so many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.mails) >= count, timeout_seconds):
                raise AssertionError(f"{len(self.mails)} mails came, not {count}")
            return list(self.mails)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(20)

    async def _run(self) -> None:
        context = self._tls if self._is_tls_from_start else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await asyncio.to_thread(self._done.wait)
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, recipients, login, is_encrypted = "", list[str](), None, self._is_tls_from_start

        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 test")
        while line := (await reader.readline()).decode().strip():
            word, _, rest = line.partition(" ")
            word = word.upper()
            if word == "EHLO":
                offers = ["test", "AUTH PLAIN", *(["STARTTLS"] if self._tls and not is_encrypted else [])]
                for number, offer in enumerate(offers):
                    say(f"250{' ' if number == len(offers) - 1 else '-'}{offer}")
            elif word == "STARTTLS" and self._tls is not None:
                say("220 go")
                await writer.start_tls(self._tls)
                is_encrypted = True
            elif word == "AUTH":
                login = ":".join(base64.b64decode(rest.split()[1]).decode().split("\0")[1:])
                say("235 ok" if login.endswith(":right") else "535 wrong")
            elif word == "MAIL":
                sender, recipients = _address(rest), []
                say("250 ok")
            elif word == "RCPT":
                is_refused = _address(rest) in self._refused
                if not is_refused:
                    recipients.append(_address(rest))
                say("550 no such mailbox" if is_refused else "250 ok")
            elif word == "DATA":
                say("354 go")
                payload = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                said = self._take(Mail(sender, tuple(recipients), payload, login, is_encrypted))
                if not said:
                    return
                say(said)
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok" if word in ("RSET", "NOOP") else "502 what?")

    def _take(self, mail: Mail) -> str:
        with self._changed:
            self.mails.append(mail)
            self._changed.notify_all()
            return self._answer(len(self.mails) - 1)


def _address(rest: str) -> str:
    return rest[rest.index("<") + 1 : rest.index(">")]
