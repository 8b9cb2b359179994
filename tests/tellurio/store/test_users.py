"""Users and API keys."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.users import keys_of, local_user, make_key, make_user, revoke_key, user, user_of_key


def test_a_user_is_found_by_id(store: Store) -> None:
    made = store.write(make_user, "Ada Lovelace", "ada@example.org")
    assert made["slug"] == "ada-lovelace"
    assert made["is_admin"] is False
    assert store.read(user, made["id"]) == made
    assert store.read(user, "nobody") is None


@pytest.mark.parametrize("name", ["alice", "Alice", "ALICE!"])
def test_a_name_is_taken_in_any_spelling(name: str, store: Store, user: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is taken"):
        store.write(make_user, name, "other@example.org")


def test_a_name_of_nothing_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="letter or a digit"):
        store.write(make_user, "!?", "x@example.org")


def test_the_local_user_is_the_first_admin(store: Store) -> None:
    store.write(make_user, "guest", "guest@example.org")
    assert store.read(local_user) is None
    first = store.write(make_user, "first", "first@example.org", is_admin=True)
    store.write(make_user, "second", "second@example.org", is_admin=True)
    assert store.read(local_user) == first


def test_a_key_opens_for_its_user_only(store: Store, user: dict[str, Any]) -> None:
    other = store.write(make_user, "bob", "bob@example.org")
    row, key = store.write(make_key, user["id"], "laptop")
    _, others = store.write(make_key, other["id"], "laptop")
    assert re.fullmatch(r"tel_[A-Za-z0-9_-]{43}", key)
    assert store.read(user_of_key, key) == user
    assert store.read(user_of_key, others) == other
    assert store.read(keys_of, user["id"]) == [row]
    for wrong in ("", "tel_", key[:-1], key + "A", key.lower(), "' OR 1=1 --", "tel_' OR '1'='1", "tel_\udcff", "%"):
        assert store.read(user_of_key, wrong) is None


def test_the_key_itself_is_not_stored(store: Store, user: dict[str, Any]) -> None:
    _, key = store.write(make_key, user["id"], "laptop")
    store.close()
    secret = key.removeprefix("tel_")[8:].encode()
    assert not any(secret in path.read_bytes() for path in store.folder.iterdir() if path.is_file())


def test_an_expired_or_revoked_key_opens_nothing(store: Store, user: dict[str, Any]) -> None:
    _, over = store.write(make_key, user["id"], "over", expires=time.time() - 1)
    row, key = store.write(make_key, user["id"], "later", expires=time.time() + 1000)
    assert store.read(user_of_key, over) is None
    assert store.read(user_of_key, key) == user
    assert store.write(revoke_key, row["id"]) is True
    assert store.write(revoke_key, row["id"]) is False
    assert store.read(user_of_key, key) is None
    assert [each["name"] for each in store.read(keys_of, user["id"])] == ["later", "over"]
