"""The reasons why Redis refuses or fails, as sentences without secrets."""

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import redis

Reason = Literal[
    "password",
    "permission",
    "certificate",
    "tls",
    "database",
    "read_only",
    "full",
    "disk",
    "loading",
    "clients",
    "protected",
    "address",
    "silent",
    "slow",
    "broken",
    "refused",
]
"""Stable names, for metrics."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reason why Redis refuses or fails.

    Attributes:
        reason: For programs.
        sentence: For the operator. It names no host, no user and no key.
    """

    reason: Reason
    sentence: str


SLOW = Trouble("slow", "Redis answers, but takes too long (WHATSIT_REDIS_TIMEOUT_SECONDS).")

_REFUSALS: tuple[tuple[str, Trouble], ...] = (
    (
        r"^NOAUTH|authentication required|already authenticated",
        Trouble("password", "Redis asks for a password; WHATSIT_REDIS_URL has none."),
    ),
    (
        r"WRONGPASS|invalid (username-)?password|without any password|wrong number.*'auth'",
        Trouble("password", "Redis refuses the user or the password of WHATSIT_REDIS_URL."),
    ),
    (r"DB index|invalid database", Trouble("database", "Redis has no database with that number.")),
    (
        r"READONLY|read only replica",
        Trouble(
            "read_only",
            "This Redis is a read-only replica: it can't store answers. Give the address of its "
            "primary.",
        ),
    ),
    (
        r"OOM|maxmemory",
        Trouble("full", "Redis is full and evicts nothing (maxmemory-policy allkeys-lru would)."),
    ),
    (
        r"MISCONF|NOREPLICAS",
        Trouble("disk", "Redis can't save, or copy to its replicas, and accepts no writes."),
    ),
    (
        r"LOADING|loading the dataset|MASTERDOWN|link with master|BUSY",
        Trouble(
            "loading",
            "Redis is busy: loading its data, waiting for its primary, or running a script.",
        ),
    ),
    (
        r"max number of clients|maxclients",
        Trouble("clients", "Redis has reached its limit of clients (maxclients)."),
    ),
    (
        r"DENIED|protected mode",
        Trouble("protected", "Redis is in protected mode: it answers only its own machine."),
    ),
)
_NO_COMMAND = re.compile(r"run the '([a-z|]{1,40})' command|command '?([a-z]{1,40})'?$")


def explain(error: BaseException) -> Trouble:
    """Find the reason why Redis, or the connection to it, has raised `error`.

    The sentence does not repeat the words of Redis, which may quote commands and passwords.
    """
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            # The rest may name the host.
            why = each.verify_message.partition(",")[0]
            return Trouble("certificate", f"The certificate of Redis is not trusted: {why}.")
        if isinstance(each, ssl.SSLError):
            return Trouble(
                "tls", "Redis does not use TLS there. Its address may begin with redis:// instead."
            )
    for each in chain:
        if isinstance(each, redis.RedisError) and (found := _explain_words(str(each))) is not None:
            return found
    return _explain_kind(chain)


def _explain_words(said: str) -> Trouble | None:
    # Ahead of the rest: these may quote a command or a key, with any words in it.
    if re.search(r"NOPERM|no permissions|unknown command", said, re.IGNORECASE):
        command = _NO_COMMAND.search(said)
        what = f"run {(command[1] or command[2]).upper()}" if command else "use these keys"
        return Trouble("permission", f"Redis does not let this user {what}.")
    for pattern, trouble in _REFUSALS:
        if re.search(pattern, said, re.IGNORECASE):
            return trouble
    return None


def _explain_kind(chain: list[BaseException]) -> Trouble:
    for each in chain:
        if isinstance(each, TimeoutError) and "handshake" in str(each):
            return Trouble(
                "tls",
                "Redis does not answer over TLS in time. Its address may begin with redis:// "
                "instead.",
            )
    for each in chain:
        if isinstance(each, redis.TimeoutError | TimeoutError):
            return Trouble("silent", "Redis does not answer in time.")
        if isinstance(each, socket.gaierror):
            return Trouble("address", "Redis does not answer: its host name is not known.")
        if isinstance(each, PermissionError):
            return Trouble("permission", "This user may not open the socket of Redis.")
        if isinstance(each, ConnectionRefusedError | FileNotFoundError):
            return Trouble("address", "Redis does not answer: nothing listens at its address.")
    for each in chain:
        if isinstance(each, redis.InvalidResponse):
            return Trouble("tls", f"The server there is not a Redis. {_MAYBE_TLS}")
        if isinstance(each, redis.ResponseError):
            return Trouble("refused", "Redis refuses the command.")
        if isinstance(each, ConnectionResetError | BrokenPipeError) or "closed by" in str(each):
            return Trouble("broken", f"Redis closes the connection. {_MAYBE_TLS}")
    return Trouble("broken", "The connection to Redis broke.")


_MAYBE_TLS = "If it asks for TLS, its address begins with rediss://."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
