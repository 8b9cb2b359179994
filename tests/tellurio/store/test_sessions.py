"""Sessions of browsers: found by their secret, which is not stored; over after a time; not more than a hundred."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from tellurio.store import Store
from tellurio.store import tables as t
from tellurio.store.sessions import MOST, end_session, make_session, user_of_session
from tellurio.store.users import make_user


def test_a_session_is_its_users_until_it_ends(store: Store) -> None:
    user = store.write(make_user, "ann", "ann@example.org")
    secret = store.write(make_session, user["id"], 60.0)
    other = store.write(make_session, user["id"], 60.0)
    assert store.read(user_of_session, secret) == user
    store.write(end_session, secret)
    assert store.read(user_of_session, secret) is None
    assert store.read(user_of_session, other) == user
    for wrong in ("", "x", other[:-1], "\ud800", "' OR 1=1"):
        assert store.read(user_of_session, wrong) is None


def test_a_session_gets_too_old_and_is_then_forgotten(store: Store) -> None:
    user = store.write(make_user, "ann", "ann@example.org")
    assert store.read(user_of_session, store.write(make_session, user["id"], 0.0)) is None
    store.write(make_session, user["id"], 60.0)
    assert len(store.read(lambda c: c.execute(select(t.sessions)).all())) == 1


def test_the_oldest_of_very_many_are_forgotten(store: Store) -> None:
    ann, bob = (store.write(make_user, name, f"{name}@example.org") for name in ("ann", "bob"))
    bobs = store.write(make_session, bob["id"], 60.0)
    secrets = [store.write(make_session, ann["id"], 60.0) for _ in range(MOST + 2)]
    there = [store.read(user_of_session, secret) is not None for secret in secrets]
    assert there == [False] * 2 + [True] * MOST
    assert store.read(user_of_session, bobs) == bob


def test_the_secret_is_in_no_file(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        user = store.write(make_user, "ann", "ann@example.org")
        secret = store.write(make_session, user["id"], 60.0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]
