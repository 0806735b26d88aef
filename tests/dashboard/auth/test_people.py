"""The file of people and the log: bounds, who else can open them, and what happens when torn."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from helpers.servers import running

from dashboard import create_app
from dashboard.auth import journal as journal_module
from dashboard.auth import people as people_module
from dashboard.auth.guard import COOKIE, Login, Proxy
from dashboard.auth.journal import Journal
from dashboard.auth.passwords import LONGEST_PASSWORD, problem_of
from dashboard.auth.people import SESSIONS_OF_PERSON, TOKENS_OF_PERSON, People
from dashboard.auth.person import PeopleError
from dashboard.auth.private import keep_private
from dashboard.cli import main
from dashboard.server.roles import Role
from dashboard.stores.source import Source
from fmcore.errors import InputFileError

BO = ("bo", "view", "correct horse battery")
PASSWORD, OTHER = "correct horse battery", "another horse battery"
SAME = {"sec-fetch-site": "same-origin"}
posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture
def people(tmp_path) -> People:
    created = People(tmp_path / "people", create=True)
    for name, role in (("vera", "view"), ("ada", "admin")):
        created.add(name, role, PASSWORD)
    return created


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "log")


@pytest.fixture
def client(people, journal, store_path):
    login = Login(people, journal, Proxy("", "X-Forwarded-User", Role.VIEW), secure=False)
    app = create_app(Source(store_path.parent), login=login)
    with running(app) as url, httpx.Client(base_url=url, timeout=60) as asking:
        yield asking


def session_of(people, name: str) -> str:
    """A session that begins without the time that a password takes."""
    ((hashed,),) = people._rows("SELECT password FROM person WHERE name = ?", name)
    return people.begin_session(name, hashed, "here")


def bearer(people, name: str, label: str) -> dict[str, str]:
    return {"authorization": f"Bearer {people.make_token(name, label)}"}


def test_a_token_makes_revokes_and_sees_no_tokens(client, people):
    token = bearer(people, "ada", "script")
    for form in ({"label": "minted", "days": "9"}, {"revoke": "script"}, {}):
        for more in ({}, SAME):
            answer = client.post("/account", data=form, headers=token | more)
            assert (answer.status_code, "fmd_" in answer.text) == (403, False)
    assert client.get("/account", headers=token).status_code == 403
    assert client.get("/account", headers=token | {"accept": "text/html"}).status_code == 403
    assert [kept.label for kept in people.tokens("ada")] == ["script"]
    # Also where a session comes with it: the token counts first.
    cookie = {"cookie": f"{COOKIE}={session_of(people, 'ada')}"}
    form = {"label": "minted", "days": "9"}
    both = client.post("/account", data=form, headers=token | cookie | SAME)
    assert both.status_code == 403
    assert client.post("/account", data=form, headers=cookie | SAME).status_code == 200


def test_another_password_ends_sessions_and_tokens_unless_they_are_kept(client, people):
    token, signed = bearer(people, "vera", "script"), session_of(people, "vera")
    others = bearer(people, "ada", "script")
    people.set_password("vera", OTHER, keep_tokens=True)
    assert people.in_session(signed) is None
    assert client.get("/api/v1/stores", headers=token).status_code == 200
    people.set_password("vera", PASSWORD)
    assert client.get("/api/v1/stores", headers=token).status_code == 401
    assert client.get("/api/v1/stores", headers=others).status_code == 200


def test_a_new_key_holds_at_once_in_servers_that_run(client, people, capsys):
    token, signed = bearer(people, "ada", "script"), session_of(people, "ada")
    cookie = {"cookie": f"{COOKIE}={signed}"}
    assert client.get("/api/v1/stores", headers=cookie).status_code == 200
    ((before,),) = people._rows("SELECT key FROM signing")
    assert main(["user", "end-sessions", "--users", str(people.path)]) == 0
    assert "all sessions have ended" in capsys.readouterr().out
    assert people._rows("SELECT key FROM signing") != [(before,)]
    assert client.get("/api/v1/stores", headers=cookie).status_code == 401
    assert client.get("/api/v1/stores", headers=token).status_code == 200
    form = {"name": "ada", "password": PASSWORD}
    assert client.post("/login", data=form, headers=SAME).status_code == 303
    assert client.get("/api/v1/stores").status_code == 200
    # What the running server signed is good after a restart too: it had the new key.
    assert People(people.path).in_session(client.cookies[COOKIE]).name == "ada"
    assert main(["user", "end-sessions", "--tokens", "--users", str(people.path)]) == 0
    assert client.get("/api/v1/stores", headers=token).status_code == 401


def test_the_oldest_session_goes_when_there_are_too_many(people):
    signed = [session_of(people, "ada") for _ in range(SESSIONS_OF_PERSON + 3)]
    hers = session_of(people, "vera")
    alive = [people.in_session(session) is not None for session in signed]
    assert alive == [False] * 3 + [True] * SESSIONS_OF_PERSON
    assert people.in_session(hers) is not None


def test_tokens_have_a_bound_which_those_that_ended_do_not_count_to(people, monkeypatch):
    for n in range(TOKENS_OF_PERSON):
        people.make_token("ada", f"token {n}", days=1)
    with pytest.raises(PeopleError, match=f"ada has {TOKENS_OF_PERSON} tokens.*revoke"):
        people.make_token("ada", "too many")
    people.make_token("vera", "hers")
    people.revoke("ada", "token 3")
    people.make_token("ada", "in its place")
    days_later = time.time() + 2 * 86400
    monkeypatch.setattr(people_module.time, "time", lambda: days_later)
    people.make_token("ada", "token 3")
    assert {token.label for token in people.tokens("ada")} == {"in its place", "token 3"}


def test_pages_stay_open_to_who_looks_and_lists_of_samples_do_not(client, people):
    hers, files = bearer(people, "vera", "look"), bearer(people, "ada", "take")
    of_single = "/api/v1/stores/tiny/samples?sample=3"
    lists = ("", "?class=0", "?sample=0:4", "?sample=top:4&layer=conv2&filter=0", "?format=csv")
    assert client.get(of_single, headers=hers).status_code == 200
    for query in lists:
        path = f"/api/v1/stores/tiny/samples{query}"
        assert client.get(path, headers=hers).status_code == 403, query
        assert client.get(path, headers=files).status_code == 200, query


LONG = "x" * 900_000
ODD = (
    "",
    LONG,
    "a\0b",
    "a\nb",
    "\ufffd",
    "\u202e",
    "\ud7ff" * 70,
    "a b",
    "'; DROP TABLE person; --",
)


def test_what_nobody_can_be_called_is_not_kept_logged_or_shown(client, people, journal):
    for name in ODD:
        with people._changing() as file:
            file.execute("DELETE FROM failure")
        answer = client.post("/login", data={"name": name, "password": "wrong"}, headers=SAME)
        # The door may refuse what is far too long before anybody looks for a name in it.
        assert answer.status_code == 401 or (name is LONG and answer.status_code == 413)
        assert len(answer.content) < 10_000
        if answer.status_code == 413:
            continue
        rows = people._rows("SELECT who FROM failure ORDER BY who")
        assert rows == [("127.0.0.1",), ("127.0.0.1 ",)], name[:20]
        line = journal.last(1)[0]
        assert (line["event"], line["who"]) == ("login failed", "")
        if name:
            sent = name.encode("utf-8")[:30_000].replace(b"\n", b"").replace(b"\0", b"")
            through = client.get("/api/v1/stores", headers={"x-forwarded-user": sent})
            assert through.status_code in (200, 401)  # a proxy may call people otherwise
    assert journal.path.stat().st_size < 300 * len(ODD)


@pytest.mark.parametrize("name", ODD, ids=lambda name: repr(name[:5]))
def test_what_nobody_can_be_called_is_said_in_a_short_sentence(people, name):
    assert people.get(name) is None
    assert people.tokens(name) == []
    for call in (
        lambda: people.add(name, "view", PASSWORD),
        lambda: people.set_role(name, "view"),
        lambda: people.set_password(name, PASSWORD),
        lambda: people.remove(name),
        lambda: people.make_token(name, "label"),
        lambda: people.revoke(name, "label"),
    ):
        with pytest.raises(PeopleError) as error:
            call()
        assert len(str(error.value)) < 1000


def test_halves_of_characters_are_refused_in_a_sentence(people):
    half = "a\udcff"
    for call in (
        lambda: people.add(half, "view", PASSWORD),
        lambda: people.remove(half),
        lambda: people.make_token("ada", half),
        lambda: people.revoke("ada", half),
        lambda: people.set_password("ada", PASSWORD + half),
    ):
        with pytest.raises(PeopleError):
            call()
    assert people.get(half) is None


def test_what_strangers_can_cause_at_will_is_logged_seldom(tmp_path, people, store_path):
    journal = Journal(tmp_path / "log")
    login = Login(people, journal, Proxy("a secret of the proxy", "X-User"), secure=False)
    with running(create_app(Source(store_path), login=login)) as url, httpx.Client() as asking:
        for _ in range(50):
            assert asking.get(url, headers={"x-user": "ada"}).status_code == 401
    lines = [line for line in journal.last(99) if line["event"] == "forged"]
    assert 1 <= len(lines) < 10


def test_a_name_in_two_lines_is_nobodys(client):
    two = [("x-forwarded-user", "vera"), ("x-forwarded-user", "ada")]
    assert client.get("/api/v1/stores", headers=two).status_code == 401
    assert client.get("/api/v1/log", headers=two[::-1]).status_code == 401


# Lines that a power cut, an editor or a hand left, and what stands for them.
TORN = (
    b'{"time": "2026-01-01", "event": "lo',
    b"",
    b"null",
    b"[1, 2]",
    b'"text"',
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": "\\ud800"}',
    b"\xff\xfe{}",
    b"\0" * 4096,
    b"[" * 50_000,
    b"1" * 10_000,
)


def test_a_torn_line_of_the_log_is_skipped_and_said(client, people, journal):
    journal.write("first", who="ada")
    with journal.path.open("ab") as file:
        file.write(b"\n".join(TORN))  # the last of them without an end
    journal.write("last", who="ada")
    answer = client.get("/api/v1/log", headers=bearer(people, "ada", "log"))
    assert answer.status_code == 200
    lines = answer.json()
    assert [lines[0]["event"], lines[-1]["event"]] == ["first", "last"]
    between = lines[1:-1]
    assert len(between) == len(TORN) - 1  # an empty line is nothing that was lost
    assert {line["event"] for line in between} == {"unreadable line"}
    assert between[0]["text"] == TORN[0].decode()
    assert all(len(line["text"]) <= 200 for line in between)


def test_of_a_huge_log_only_the_end_is_read(journal, monkeypatch):
    monkeypatch.setattr(journal_module, "_TAIL_BYTES", 1000)
    for n in range(300):
        journal.write("event", n=n)
    last = journal.last(1000)
    assert 5 < len(last) < 30
    assert [line["n"] for line in last] == list(range(300 - len(last), 300))
    assert [line["n"] for line in journal.last(2)] == [298, 299]


def test_where_the_log_cannot_be_written_its_lines_go_to_the_servers_own(
    client, people, journal, caplog
):
    token = bearer(people, "vera", "look")
    journal.path.unlink()
    journal.path.mkdir()
    with caplog.at_level(logging.ERROR, "dashboard"):
        assert client.get("/api/v1/log", headers=token).status_code == 403
    assert '"event": "refused"' in caplog.text
    with pytest.raises(InputFileError, match="cannot write the log"):
        Journal(journal.path)


@posix
@pytest.mark.parametrize("mode", [0o644, 0o666, 0o604, 0o602])
def test_files_that_everybody_could_open_are_taken_from_them_and_that_is_said(
    people, journal, caplog, mode
):
    assert people.get("ada")  # so that the two beside it are there
    paths = [people.path.with_name("people" + end) for end in ("", "-wal", "-shm")]
    for path in (*paths, journal.path):
        path.chmod(mode)
    with caplog.at_level(logging.WARNING, "dashboard"):
        People(people.path)
        Journal(journal.path)
    for path in (*paths, journal.path):
        assert path.stat().st_mode & 0o077 == 0, path
        assert str(path) in caplog.text
    caplog.clear()
    People(people.path)
    assert caplog.text == ""


@posix
def test_a_group_that_shares_the_file_keeps_it_and_a_device_stays_as_it_is(people, caplog):
    people.path.chmod(0o660)
    People(people.path)
    assert people.path.stat().st_mode & 0o777 == 0o660
    mode = Path("/dev/null").stat().st_mode
    keep_private(Path("/dev/null"))
    assert Path("/dev/null").stat().st_mode == mode
    assert caplog.text == ""


@posix
def test_a_file_that_is_not_ours_to_close_is_refused_with_what_to_do(people, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    people.path.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(PeopleError, match=r"mode 0644.*`chmod o= "):
        People(people.path)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_in_which_everybody_could_replace_the_file_is_refused(people, mode):
    people.path.parent.chmod(mode)
    try:
        with pytest.raises(PeopleError, match=r"chmod o-w"):
            People(people.path)
    finally:
        people.path.parent.chmod(0o700)


@posix
def test_the_proxys_secret_is_taken_from_everybody_too(people, store_path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret of the proxy alone")
    secret.chmod(0o644)
    command = ["serve", str(store_path), "--users", str(people.path), "--port", "0", "--check"]
    assert main([*command, "--proxy-header", "X-User", "--proxy-secret", str(secret)]) in (0, 1)
    assert secret.stat().st_mode & 0o077 == 0


WEAK = {
    "short": "expected 10 to",
    "x" * (LONGEST_PASSWORD + 1): "expected 10 to",
    "1234567890": "very common|top-100",
    "qwertyuiop": "top-10|common",
    "password12": "common",
    "Password123!": "commonly used",
    "aaaaaaaaaaaaaaaa": "Repeats",
    "fmdashfmdash": "Repeats",
    "line\nbreak of mine": "no form takes",
}


@pytest.mark.parametrize("password", WEAK, ids=lambda text: text[:20])
def test_a_weak_password_is_refused_and_the_error_says_why(people, password):
    for call in (
        lambda: people.add("bo", "view", password),
        lambda: people.set_password("vera", password),
    ):
        with pytest.raises(PeopleError, match=WEAK[password]):
            call()
    assert people.get("bo") is None


@pytest.mark.parametrize("password", ["vera.lindgren", "Vera.Lindgren1", "lindgrenvera"])
def test_a_name_is_no_password_of_who_has_it(people, password):
    with pytest.raises(PeopleError, match="easy to guess"):
        people.add("vera.lindgren", "view", password)


def test_strong_passwords_are_taken_and_long_ones_are_judged_soon():
    for password in (PASSWORD, "x9$kQ2mm-Pz", "sieben Zwerge essen Brei", "пять медведей на льду"):
        assert problem_of(password, ["ada"]) == "", password
    # As slow as zxcvbn gets: many words with many spellings; without a bound it takes minutes.
    assert problem_of("aA@4bB8eE3$5sS1iIl!0oO " * 44, ["ada"]) == ""


def test_two_writers_wait_for_each_other_and_what_lasts_too_long_is_said(
    people, client, monkeypatch
):
    """Another program holds the file: 503 and not 500, and all is well when it is done."""
    monkeypatch.setattr(people_module, "_WAIT_SECONDS", 0.1)
    cookie = {"cookie": f"{COOKIE}={session_of(people, 'ada')}"}
    people._file.execute("PRAGMA busy_timeout = 100")  # this thread's, which was open before
    form = {"name": "ada", "password": PASSWORD}
    held = sqlite3.connect(people.path, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    answer = client.post("/login", data=form, headers=SAME)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert client.get("/api/v1/stores", headers=cookie).status_code == 200  # readers go on
    assert client.post("/account", data={"label": "x", "days": "9"}, headers=cookie | SAME).is_error
    for change in (People, lambda path: people.remove("vera"), lambda path: people.add(*BO)):
        with pytest.raises(PeopleError, match="locked"):
            change(people.path)
    held.execute("ROLLBACK")
    held.close()
    assert client.post("/login", data=form, headers=SAME).status_code == 303


def test_two_writers_lose_nothing(people):
    """Each process and thread adds its own; all are there."""
    script = (
        "import sys; from pathlib import Path; from dashboard.auth.people import People\n"
        "people = People(Path(sys.argv[1]))\n"
        "for n in range(25): people.make_token(sys.argv[2], f'token {n}')"
    )
    command = [sys.executable, "-c", script, str(people.path)]
    writers = [subprocess.Popen([*command, name]) for name in ("ada", "vera")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert [len(people.tokens(name)) for name in ("ada", "vera")] == [25, 25]


def test_a_file_that_is_gone_lets_nobody_in_and_is_not_made_anew(people, client):
    token = bearer(people, "ada", "script")
    assert client.get("/api/v1/stores", headers=token).status_code == 200
    for path in people.path.parent.glob("people*"):
        path.rename(path.with_name("gone" + path.name[6:]))
    answers = []

    def ask() -> None:
        form = {"name": "ada", "password": PASSWORD}
        answers.append(httpx.post(f"{client.base_url}login", data=form, headers=SAME))

    asking = [threading.Thread(target=ask) for _ in range(8)]  # threads that did not open it yet
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert {answer.status_code for answer in answers} <= {303, 429, 503}
    with pytest.raises(PeopleError, match="there is no file of people"):
        People(people.path)
    assert not people.path.exists()


def test_a_role_that_is_none_is_said_at_the_start(people):
    with contextlib.closing(sqlite3.connect(people.path)) as file, file:
        file.execute("UPDATE person SET role = 'king' WHERE name = 'vera'")
    with pytest.raises(PeopleError, match=r"holds the role 'king'; expected view, export, admin"):
        People(people.path)


def test_the_command_keeps_tokens_where_it_is_told_to(people, monkeypatch, capsys):
    people.make_token("ada", "script")
    command = ["user", "password", "ada", "--users", str(people.path), "--password-stdin"]

    def typed(text: str) -> None:
        monkeypatch.setattr("sys.stdin", type("Typed", (), {"readline": lambda *_: text})())

    typed(OTHER + "\n")
    assert main([*command, "--keep-tokens"]) == 0
    assert "no session any more" in capsys.readouterr().out
    assert len(people.tokens("ada")) == 1
    typed(PASSWORD + "\n")
    assert main(command) == 0
    assert "no session and no token" in capsys.readouterr().out
    assert people.tokens("ada") == []
    typed("password12\n")
    assert main(command) == 1
    assert "easy to guess" in capsys.readouterr().err


def test_no_line_of_the_log_is_torn_by_others(journal):
    def write(n: int) -> None:
        for _ in range(50):
            journal.write("event", n=n, text="x" * 3000)

    writing = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in writing:
        thread.start()
    for thread in writing:
        thread.join()
    lines = journal.path.read_bytes().splitlines()
    assert sum(bool(line) for line in lines) == 200
    assert all("event" in json.loads(line) for line in lines if line)


def test_a_proxy_that_hides_who_asks_is_said_at_the_start(people, store_path, caplog):
    command = ["serve", str(store_path), "--users", str(people.path), "--port", "0", "--check"]
    with caplog.at_level(logging.WARNING, "dashboard"):
        main([*command, "--behind-tls"])
    assert "all people look like one client" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "dashboard"):
        main(command)
    assert "one client" not in caplog.text
