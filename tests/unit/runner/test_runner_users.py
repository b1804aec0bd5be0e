"""Users, their passwords, and the tokens of Machine Learning Server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from attrs import define, field
from click.testing import CliRunner
from runner_fakes import Clock

from wmlclient.cli import main
from wmlclient.runner import users as accounts
from wmlclient.runner.auth import Authenticator
from wmlclient.runner.logins import CHAIN_LIFETIME, REFRESH_LIFETIME, Logins
from wmlclient.runner.problems import Problem
from wmlclient.runner.store import Store
from wmlclient.runner.users import FRESH, Caller, UserRefused, Users

KEY = b"k" * 48


@define
class House:
    """A store with users, and clocks that stand still."""

    home: Path
    store: Store
    clock: Clock = field(factory=Clock)
    seconds: float = 0.0
    users: Users = field(init=False)
    logins: Logins = field(init=False)

    def open(self) -> None:
        """As after a restart."""
        self.users = Users("first", "pässword", self.store, lambda: self.seconds)
        self.logins = Logins(KEY, self.users, self.store, 3600, self.clock.seconds)

    def pass_(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.seconds += seconds

    def add(self, name: str = "anna", password: str = "secret", role: str = "contributor") -> None:
        accounts.add(self.store, name, password, role, 1)
        self.seconds += FRESH


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    store = Store(tmp_path / "runner.db")
    house = House(tmp_path, store)
    house.open()
    yield house
    store.close()


def refusal(call: Any) -> tuple[int, str, str]:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.status, caught.value.code, caught.value.message


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


INVALID_CREDENTIALS = (401, "invalid_credentials", "invalid credentials")
INVALID_REFRESH = (401, "invalid_refresh_token", "invalid or expired refresh token")
INVALID_ACCESS = (401, "invalid_access_token", "invalid or expired access token")


def test_the_first_user_is_an_owner_and_others_have_their_role(house: House) -> None:
    house.add("anna", "secret", "reader")
    assert house.users.verify("first", "pässword") == Caller("first", "owner")
    assert house.users.verify("anna", "secret") == Caller("anna", "reader")
    for name, password in (("first", "secret"), ("anna", "pässword"), ("nobody", "secret"), ("", "")):
        assert house.users.verify(name, password) is None


def test_only_a_hash_is_kept(house: House) -> None:
    house.add(password="a-very-special-word")
    (user,) = house.store.users.all()
    assert user.hash.startswith("$argon2id$")
    assert "hash" not in repr(user)
    for file in house.home.iterdir():
        assert b"a-very-special-word" not in file.read_bytes()


@pytest.mark.parametrize(
    ("name", "password", "role", "why"),
    [
        ("a:b", "x", "reader", "no ':'"),
        ("a/b", "x", "reader", "no '/'"),
        ("", "x", "reader", "1 to 100"),
        ("a", "", "reader", "empty"),
        ("a", "x", "king", "no role"),
        ("first", "x", "reader", "first user"),
    ],
)
def test_refuses_users(house: House, name: str, password: str, role: str, why: str) -> None:
    house.store.keep_setting("username", "first")
    with pytest.raises(UserRefused, match=why):
        accounts.add(house.store, name, password, role, 1)
    assert house.store.users.all() == []


def test_guesses_at_once_all_get_their_answer(house: House) -> None:
    house.add()
    answers: list[Caller | None] = []
    threads = [
        threading.Thread(target=lambda: answers.append(house.users.verify("anna", "secret")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [Caller("anna", "contributor")] * 6


def test_a_login_lets_in_until_it_expires(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    assert tokens.lifetime == 3600
    assert tokens.expires_on == int(house.clock.seconds()) + 3600
    assert house.logins.check(bearer(tokens.access)) == Caller("first", "owner")
    house.pass_(3599)
    house.logins.check(bearer(tokens.access))
    house.pass_(1)
    assert refusal(lambda: house.logins.check(bearer(tokens.access))) == INVALID_ACCESS


@pytest.mark.parametrize("login", [("first", "wrong"), ("nobody", "pässword"), (None, None), ("first", None)])
def test_wrong_credentials(house: House, login: tuple[Any, Any]) -> None:
    assert refusal(lambda: house.logins.login(*login)) == INVALID_CREDENTIALS


def test_a_renewal_ends_the_old_pair(house: House) -> None:
    old = house.logins.login("first", "pässword")
    new = house.logins.renew(old.refresh)
    assert house.logins.check(bearer(new.access)).name == "first"
    assert refusal(lambda: house.logins.check(bearer(old.access))) == INVALID_ACCESS
    assert refusal(lambda: house.logins.renew(old.refresh)) == INVALID_REFRESH
    house.logins.renew(new.refresh)


def test_two_logins_do_not_touch_each_other(house: House) -> None:
    one, two = (house.logins.login("first", "pässword") for _ in range(2))
    house.logins.renew(one.refresh)
    assert house.logins.check(bearer(two.access)).name == "first"


def test_a_revoked_refresh_token_is_over_and_its_access_token_is_not(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    house.logins.revoke(tokens.refresh)
    assert refusal(lambda: house.logins.renew(tokens.refresh)) == INVALID_REFRESH
    assert refusal(lambda: house.logins.revoke(tokens.refresh)) == INVALID_REFRESH
    house.logins.check(bearer(tokens.access))


def test_a_refresh_token_ends_after_14_days_of_non_use(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    house.pass_(REFRESH_LIFETIME - 1)
    tokens = house.logins.renew(tokens.refresh)
    house.pass_(REFRESH_LIFETIME)
    assert refusal(lambda: house.logins.renew(tokens.refresh)) == INVALID_REFRESH


def test_renewals_end_90_days_after_the_login(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    for _ in range(8):
        house.pass_(CHAIN_LIFETIME / 9)
        tokens = house.logins.renew(tokens.refresh)
    house.pass_(CHAIN_LIFETIME / 9)
    assert refusal(lambda: house.logins.renew(tokens.refresh)) == INVALID_REFRESH


def test_tokens_survive_a_restart(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    house.open()
    assert house.logins.check(bearer(tokens.access)).name == "first"
    new = house.logins.renew(tokens.refresh)
    house.open()
    assert refusal(lambda: house.logins.check(bearer(tokens.access))) == INVALID_ACCESS
    house.logins.check(bearer(new.access))


def test_logins_that_are_over_are_forgotten(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    login = jwt.decode(tokens.access, options={"verify_signature": False})["sid"]
    assert house.store.logins.get(login) is not None
    house.pass_(REFRESH_LIFETIME + 1)
    house.logins.login("first", "pässword")
    assert house.store.logins.get(login) is None


def test_refresh_tokens_are_not_kept(house: House) -> None:
    tokens = house.logins.login("first", "pässword")
    for file in house.home.iterdir():
        assert tokens.refresh.encode() not in file.read_bytes()


@pytest.mark.parametrize("again", [False, True])
def test_a_removed_user_is_out_within_a_second(house: House, again: bool) -> None:
    house.add()
    tokens = house.logins.login("anna", "secret")
    assert house.logins.check(bearer(tokens.access)).name == "anna"
    house.store.users.delete("anna")
    if again:
        accounts.add(house.store, "anna", "secret", "contributor", 2)
    house.seconds += FRESH
    assert refusal(lambda: house.logins.check(bearer(tokens.access))) == INVALID_ACCESS
    assert refusal(lambda: house.logins.renew(tokens.refresh)) == INVALID_REFRESH


def test_users_log_in_to_the_v3_api_too(house: House) -> None:
    auth = Authenticator(KEY, house.users, "instance", clock=house.clock.seconds)
    house.add()
    token = auth.login("Basic YW5uYTpzZWNyZXQ=")
    auth.check(bearer(token))
    auth.check(bearer(auth.refresh(token)))
    house.store.users.delete("anna")
    house.seconds += FRESH
    assert refusal(lambda: auth.check(bearer(token)))[:2] == (401, "invalid_authorization_token")
    assert refusal(lambda: auth.refresh(token))[:2] == (401, "invalid_authorization_token")


def test_tokens_of_one_api_are_none_of_the_other(house: House) -> None:
    auth = Authenticator(KEY, house.users, "instance", clock=house.clock.seconds)
    assert refusal(lambda: house.logins.check(bearer(auth.issue()))) == INVALID_ACCESS
    tokens = house.logins.login("first", "pässword")
    assert refusal(lambda: auth.check(bearer(tokens.access)))[0] == 401


def claims(house: House, **changes: Any) -> dict[str, Any]:
    given = jwt.decode(house.logins.login("first", "pässword").access, options={"verify_signature": False})
    return {**given, **changes}


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (b"z" * 48, {}),
        (KEY, {"exp": "soon"}),
        (KEY, {"exp": None}),
        (KEY, {"sub": "nobody"}),
        (KEY, {"sid": "unknown"}),
        (KEY, {"jti": "another"}),
        (KEY, {"aud": "another"}),
    ],
)
def test_forged_tokens(house: House, key: bytes, changes: dict[str, Any]) -> None:
    assert house.logins.check(bearer(jwt.encode(claims(house), KEY, "HS256"))).name == "first"
    token = jwt.encode(claims(house, **changes), key, "HS256")
    assert refusal(lambda: house.logins.check(bearer(token))) == INVALID_ACCESS


@pytest.mark.parametrize(
    "header", [b"Bearer", b"Bearer a b", b"Basic abc", b"Bearer \xff", b"Bearer " + b"a" * 9000]
)
def test_malformed_headers(house: House, header: bytes) -> None:
    assert refusal(lambda: house.logins.check(header)) == INVALID_ACCESS


@pytest.mark.parametrize("header", [None, b"", b"  "])
def test_no_header(house: House, header: bytes | None) -> None:
    assert refusal(lambda: house.logins.check(header))[1] == "missing_access_token"


class TestCommand:
    """``wmlclient users``."""

    def run(self, house: House, *words: str, stdin: str = "", code: int = 0) -> str:
        done = CliRunner().invoke(main, [*words, "--home", str(house.home)], input=stdin)
        assert done.exit_code == code, done.output
        return done.output

    def test_add_list_remove(self, house: House) -> None:
        self.run(house, "users", "add", "anna", "--role", "reader", "--password-stdin", stdin="secret\n")
        house.seconds += FRESH
        assert house.users.verify("anna", "secret") == Caller("anna", "reader")
        assert "anna  reader" in self.run(house, "users", "list")
        assert '"role": "reader"' in self.run(house, "--output", "json", "users", "list")
        self.run(house, "users", "remove", "anna")
        assert house.users.verify("anna", "secret") is None
        assert "no user 'anna'" in self.run(house, "users", "remove", "anna", code=1)

    def test_the_password_is_asked_for_twice_and_not_shown(self, house: House) -> None:
        shown = self.run(house, "users", "add", "anna", stdin="secret\nsecret\n")
        assert "secret" not in shown
        assert house.users.verify("anna", "secret") is not None

    def test_refusals(self, house: House, tmp_path: Path) -> None:
        said = self.run(house, "users", "add", "a:b", "--password-stdin", stdin="x\n", code=1)
        assert "no ':'" in said
        done = CliRunner().invoke(main, ["users", "list", "--home", str(tmp_path / "none")])
        assert (done.exit_code, "is no runner's folder" in done.output) == (1, True)
