"""People, their sessions and their tokens, in one SQLite file that all workers share.

No secret lies in it: passwords are argon2 hashes, sessions and tokens SHA-256 of 256 random bits.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from itsdangerous import BadSignature, TimestampSigner

from dashboard.auth import delays
from dashboard.auth.passwords import LONGEST_PASSWORD, problem_of
from dashboard.auth.person import (
    MOST_TOKEN_DAYS,
    TOKEN_DAYS,
    PeopleError,
    PeopleFileError,
    Person,
)
from dashboard.auth.private import keep_private, refuse_open_folder
from dashboard.server.roles import ROLES, Role

SESSION_SECONDS = 12 * 3600
# More browsers and scripts than anybody has: nobody who logs in again and again fills the disk.
SESSIONS_OF_PERSON, TOKENS_OF_PERSON = 32, 32
_LONGEST_LABEL = 64
# How long a change waits for another, of another worker or a command: each takes milliseconds.
_WAIT_SECONDS = 5
_NAME = re.compile(r"[\w.@+-]{1,64}")
_TABLES = """
CREATE TABLE IF NOT EXISTS person (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
  digest BLOB PRIMARY KEY, ends REAL NOT NULL,
  name TEXT NOT NULL REFERENCES person(name) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS token (
  digest BLOB PRIMARY KEY, label TEXT NOT NULL, made REAL NOT NULL, ends REAL NOT NULL,
  name TEXT NOT NULL REFERENCES person(name) ON DELETE CASCADE, UNIQUE (name, label));
CREATE TABLE IF NOT EXISTS signing (one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL);
INSERT OR IGNORE INTO signing VALUES (1, randomblob(32));
"""


@dataclass(frozen=True, slots=True)
class Token:
    """A personal access token, without its secret.

    Attributes:
        label: what its owner calls it.
        begins: since when it is good, seconds since 1970.
        ends: until when it is good, seconds since 1970.
    """

    label: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a login.

    Attributes:
        session: what goes into the cookie; empty where nobody was let in.
        wait: seconds until the next try is looked at; 0 where this one was.
    """

    session: str = ""
    wait: float = 0.0


def is_name(text: str) -> bool:
    """Whether somebody may be called so; what is none is not kept, logged or shown."""
    return _NAME.fullmatch(text) is not None


class People:
    """The file of people; every call reads it anew, so that a change holds at once, in all workers.

    Each method may raise `PeopleFileError` where the file cannot be read or written.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Opens the file.

        Args:
            path: the file.
            create: make it where there is none, for its owner's eyes only.

        Raises:
            PeopleError: if there is none, it is no file of people, or everybody may change it.
        """
        self.path = path
        self._here = threading.local()
        self._hasher = PasswordHasher()
        if not create and not path.is_file():
            raise PeopleError(f"there is no file of people {path}; `fmdash user add` makes one")
        refuse_open_folder(path)
        try:
            if create:
                path.touch(mode=0o600)
            # Beside it lie what SQLite has not yet written into it, and the index of that.
            real = path.resolve()
            for beside in ("", "-wal", "-shm", "-journal"):
                keep_private(real.with_name(real.name + beside))
            self._file.executescript(f"BEGIN IMMEDIATE; {_TABLES} {delays.TABLE} COMMIT;")
            roles = [role for (role,) in self._rows("SELECT DISTINCT role FROM person")]
        except (sqlite3.Error, OSError) as error:
            raise PeopleError(f"cannot use {path} as a file of people: {error}") from error
        if unknown := set(roles) - set(ROLES):
            raise PeopleError(
                f"{path} holds the role {min(unknown)!r}; expected {', '.join(ROLES)}"
            )

    def check(self) -> None:
        """Looks whether the file is there and answers; `OSError` if not."""
        self.path.stat()
        try:
            len(self)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, "it does not answer") from error

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM person")[0][0])

    def __iter__(self) -> Iterator[Person]:
        for name, role in self._rows("SELECT name, role FROM person ORDER BY name"):
            yield Person(name, Role(role))

    def get(self, name: str) -> Person | None:
        """A person by name; None if nobody has it."""
        if not is_name(name):
            return None
        rows = self._rows("SELECT name, role FROM person WHERE name = ?", name)
        return Person(rows[0][0], Role(rows[0][1])) if rows else None

    def add(self, name: str, role: str, password: str) -> None:
        """Adds somebody.

        Raises:
            PeopleError: if the name is taken or none, the role is none, or the password is weak.
        """
        if not is_name(name):
            raise PeopleError(
                f"{name[:80]!r} is no name: expected 1 to 64 letters, digits and . @ + _ -"
            )
        row = (name, _role(role), self._hashed(name, password))
        with self._changing() as file:
            try:
                file.execute("INSERT INTO person VALUES (?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise PeopleError(
                    f"there is a {name!r} already; `fmdash user role` and `fmdash user password` "
                    "change what they have"
                ) from error

    def set_role(self, name: str, role: str) -> None:
        """Gives somebody another role, which holds from the next request on."""
        with self._changing_of(name) as file:
            file.execute("UPDATE person SET role = ? WHERE name = ?", (_role(role), name))

    def set_password(self, name: str, password: str, *, keep_tokens: bool = False) -> None:
        """Gives somebody another password, and ends their sessions and tokens.

        Whoever had the password could make themselves a token.

        Args:
            name: whose password it is.
            password: the new one.
            keep_tokens: tokens stay; for a change without suspicion.

        Raises:
            PeopleError: if there is no such person, or the password is weak.
        """
        hashed = self._hashed(name, password)
        with self._changing_of(name) as file:
            file.execute("UPDATE person SET password = ? WHERE name = ?", (hashed, name))
            file.execute("DELETE FROM session WHERE name = ?", (name,))
            if not keep_tokens:
                file.execute("DELETE FROM token WHERE name = ?", (name,))

    def remove(self, name: str) -> None:
        """Removes somebody with their sessions and tokens."""
        with self._changing_of(name) as file:
            file.execute("DELETE FROM person WHERE name = ?", (name,))

    def end_sessions(self, *, tokens: bool = False) -> None:
        """Ends everybody's sessions, and signs those to come with a new key.

        Args:
            tokens: end all tokens too.
        """
        with self._changing() as file:
            file.execute("UPDATE signing SET key = randomblob(32)")
            file.execute("DELETE FROM session")
            if tokens:
                file.execute("DELETE FROM token")

    def log_in(self, name: str, password: str, client: str) -> Attempt:
        """Begins a session of somebody who knows their password.

        A try is counted before it is looked at, and the session begins only if the password that
        was right is still the person's: one that is replaced meanwhile lets nobody in.

        Args:
            name: as it was typed.
            password: as it was typed.
            client: the address that it comes from.
        """
        name = name if is_name(name) else ""
        with self._changing() as file:
            pause = delays.begin(file, name, client)
        if pause > 0:
            return Attempt(wait=pause)
        hashed = self.verified(name, password)
        return Attempt(session=self.begin_session(name, hashed, client) if hashed else "")

    def verified(self, name: str, password: str) -> str:
        """The stored hash that a password fits; empty where it fits none.

        Takes as long where there is no such person.
        """
        rows = self._rows("SELECT password FROM person WHERE name = ?", name)
        hashed = str(rows[0][0]) if rows else self._nobody
        try:
            self._hasher.verify(hashed, password[:LONGEST_PASSWORD])
        except (Argon2Error, InvalidHashError):
            return ""
        return hashed if rows else ""

    def wait(self, name: str, client: str) -> float:
        """Seconds until somebody at an address may try again; 0 for now."""
        with self._reading() as file:
            return delays.wait(file, name, client)

    def begin_session(self, name: str, hashed: str, client: str) -> str:
        """A new session, for the cookie; empty where the password is another one by now.

        Args:
            name: whose it is.
            hashed: the stored hash that their password was compared with.
            client: the address that it is at, of which failures for this name are forgotten.
        """
        secret, now = secrets.token_urlsafe(32), time.time()
        with self._changing() as file:
            row = file.execute("SELECT password FROM person WHERE name = ?", (name,)).fetchone()
            if row != (hashed,):
                return ""
            delays.forget(file, name, client)
            file.execute("DELETE FROM session WHERE ends < ?", (now,))
            values = (_digest(secret), now + SESSION_SECONDS, name)
            file.execute("INSERT INTO session VALUES (?, ?, ?)", values)
            file.execute(
                "DELETE FROM session WHERE name = ? AND digest NOT IN (SELECT digest FROM session "
                "WHERE name = ? ORDER BY ends DESC, rowid DESC LIMIT ?)",
                (name, name, SESSIONS_OF_PERSON),
            )
            return self._signer(anew=True).sign(secret).decode()

    def in_session(self, signed: str) -> Person | None:
        """Whose session it is; None where it ended, or never was."""
        secret = self._unsigned(signed)
        return self._of("session", secret) if secret else None

    def end_session(self, signed: str) -> None:
        """Ends a session: whoever shows its cookie again is nobody."""
        secret = self._unsigned(signed)
        if secret:
            with self._changing() as file:
                file.execute("DELETE FROM session WHERE digest = ?", (_digest(secret),))

    def _unsigned(self, signed: str) -> str:
        """What was signed here, and not too long ago; empty for anything else."""
        for anew in (False, True):  # another worker may have signed it with a new key
            with contextlib.suppress(BadSignature, UnicodeError):
                return self._signer(anew=anew).unsign(signed, max_age=SESSION_SECONDS).decode()
        return ""

    def make_token(self, name: str, label: str, days: int = TOKEN_DAYS) -> str:
        """A new token, which is shown this once.

        Raises:
            PeopleError: if there is no such person, the label is taken, it would never hold, or
                the person has as many as anybody may have.
        """
        label = label.strip()
        fits = 1 <= len(label) <= _LONGEST_LABEL and label.isprintable()
        if not fits or not 1 <= days <= MOST_TOKEN_DAYS:
            raise PeopleError(
                f"a token needs a label of 1 to {_LONGEST_LABEL} letters in one line, and 1 to "
                f"{MOST_TOKEN_DAYS:,} days"
            )
        secret, now = f"fmd_{secrets.token_urlsafe(32)}", time.time()
        with self._changing_of(name) as file:
            file.execute("DELETE FROM token WHERE ends < ?", (now,))
            count = "SELECT count(*) FROM token WHERE name = ?"
            if file.execute(count, (name,)).fetchone()[0] >= TOKENS_OF_PERSON:
                raise PeopleError(
                    f"{name} has {TOKENS_OF_PERSON} tokens, as many as anybody may have; revoke "
                    "those that no script uses"
                )
            try:
                row = (_digest(secret), label, now, now + days * 86400, name)
                file.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise PeopleError(f"{name} has a token {label!r} already; revoke it") from error
        return secret

    def with_token(self, secret: str) -> Person | None:
        """Whose token it is; None where it ended, was revoked, or never was."""
        return self._of("token", secret)

    def tokens(self, name: str) -> list[Token]:
        """The tokens of a person, oldest first."""
        if not is_name(name):
            return []
        rows = self._rows("SELECT label, made, ends FROM token WHERE name = ? ORDER BY made", name)
        return [Token(*row) for row in rows]

    def revoke(self, name: str, label: str) -> None:
        """Revokes a token; from the next request on it is none."""
        fits = len(label) <= _LONGEST_LABEL and label.isprintable()
        with self._changing_of(name) as file:
            row = (name, label if fits else "")
            if not file.execute("DELETE FROM token WHERE name = ? AND label = ?", row).rowcount:
                raise PeopleError(f"{name} has no token {label[:80]!r}")

    def _of(self, table: str, secret: str) -> Person | None:
        rows = self._rows(
            f"SELECT person.name, role FROM {table} JOIN person USING (name) "  # noqa: S608 (ours)
            "WHERE digest = ? AND ends > ?",
            _digest(secret),
            time.time(),
        )
        return Person(rows[0][0], Role(rows[0][1]), table) if rows else None

    def _hashed(self, name: str, password: str) -> str:
        if problem := problem_of(password, [name]):
            raise PeopleError(problem)
        return self._hasher.hash(password)

    @property
    def _nobody(self) -> str:
        """A hash of no password, made once, so that an unknown name takes as long as a known."""
        if not hasattr(self, "_dummy"):
            self._dummy = self._hasher.hash(secrets.token_urlsafe(32))
        return self._dummy

    def _signer(self, *, anew: bool = False) -> TimestampSigner:
        """What signs with the key of the file, as it is now or was when this thread last read it.

        A key that was replaced is no danger: with it all sessions ended that it had signed.
        """
        if anew or getattr(self._here, "signer", None) is None:
            ((key,),) = self._rows("SELECT key FROM signing")
            self._here.signer = TimestampSigner(key, salt="session", digest_method=hashlib.sha256)
        signer: TimestampSigner = self._here.signer
        return signer

    @property
    def _file(self) -> sqlite3.Connection:
        """This thread's connection; none is carried over a fork."""
        if getattr(self._here, "process", None) != os.getpid():
            # Not made where it is gone: an empty file would lie there, open to everybody.
            address = f"file:{quote(os.fspath(self.path.absolute()))}?mode=rw"
            file = sqlite3.connect(address, _WAIT_SECONDS, isolation_level=None, uri=True)
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA foreign_keys = ON")
            # A key or a hash that was replaced does not stay in what is free within the file.
            file.execute("PRAGMA secure_delete = ON")
            self._here.file, self._here.signer = file, None
            self._here.process = os.getpid()
        opened: sqlite3.Connection = self._here.file
        return opened

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with self._reading() as file:
            return file.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._file
        except sqlite3.Error as error:
            raise PeopleFileError(
                f"the file of people {self.path} cannot be read or written now: {error}"
            ) from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as file:
            file.execute("BEGIN IMMEDIATE")
            try:
                yield file
                file.execute("COMMIT")
            except BaseException:
                if file.in_transaction:  # a full disk has ended it already
                    file.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _changing_of(self, name: str) -> Iterator[sqlite3.Connection]:
        """A change of what somebody has, who stays there until it is done."""
        with self._changing() as file:
            find = "SELECT 1 FROM person WHERE name = ?"
            if not is_name(name) or file.execute(find, (name,)).fetchone() is None:
                names = ", ".join(person.name for person in self)
                raise PeopleError(
                    f"there is no {name[:80]!r}; there are {names or 'no people yet'}"
                )
            yield file


def _role(role: str) -> str:
    if role not in ROLES:
        raise PeopleError(f"there is no role {role!r}; expected {', '.join(ROLES)}")
    return role


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
