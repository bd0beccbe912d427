"""A link signs in once, in time; a session lasts until its end."""

import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from services.ledger import tables
from services.ledger.database import Database
from services.people import end_session, new_sign_in_link_token, redeem, session

NOW_MS = 1_000


def test_a_link_opens_a_session_of_its_person(database: Database) -> None:
    link = new_sign_in_link_token(database, NOW_MS, 100, user="ana")
    token = redeem(database, link, NOW_MS + 99, valid_ms=50)
    assert token is not None
    assert session(database, token, NOW_MS + 148) == "ana"
    assert session(database, token, NOW_MS + 149) is None


def test_a_link_is_good_once(database: Database) -> None:
    link = new_sign_in_link_token(database, NOW_MS, 100)
    assert redeem(database, link, NOW_MS) is not None
    assert redeem(database, link, NOW_MS) is None


def test_a_link_is_good_until_its_time_is_up(database: Database) -> None:
    link = new_sign_in_link_token(database, NOW_MS, 100)
    assert redeem(database, link, NOW_MS + 100) is None


def test_of_many_who_use_a_link_at_once_one_gets_in(database: Database) -> None:
    link = new_sign_in_link_token(database, NOW_MS, 100)
    start = threading.Barrier(8)

    def use(_: int) -> str | None:
        start.wait(timeout=30)
        return redeem(database, link, NOW_MS)

    with ThreadPoolExecutor(8) as pool:
        got = [token for token in pool.map(use, range(8)) if token is not None]
    assert len(got) == 1
    assert session(database, got[0], NOW_MS) is not None


def test_a_made_up_token_is_nobodys(database: Database) -> None:
    for token in ("", "x", "\ud800", "x" * 100_000):
        assert redeem(database, token, NOW_MS) is None
        assert session(database, token, NOW_MS) is None


def test_a_link_is_no_session_and_a_session_no_link(database: Database) -> None:
    link = new_sign_in_link_token(database, NOW_MS, 100)
    assert session(database, link, NOW_MS) is None
    token = redeem(database, link, NOW_MS)
    assert token is not None
    assert redeem(database, token, NOW_MS) is None


def test_a_session_that_was_ended_is_over_and_others_are_not(database: Database) -> None:
    tokens = [redeem(database, new_sign_in_link_token(database, NOW_MS, 100), NOW_MS) or "" for _ in range(2)]
    end_session(database, tokens[0])
    end_session(database, tokens[0])
    assert session(database, tokens[0], NOW_MS) is None
    assert session(database, tokens[1], NOW_MS) == "operator"


def test_tokens_have_256_random_bits_and_are_not_kept(database: Database) -> None:
    seeded = random.Random(1)
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return seeded.randbytes(size)

    link = new_sign_in_link_token(database, NOW_MS, 100, random_bytes=source)
    token = redeem(database, link, NOW_MS, random_bytes=source)
    assert asked == [32, 32]
    assert token is not None
    with database.read() as tx:
        kept = [str(row) for table in (tables.sign_in_link, tables.web_session) for row in tx.execute(select(table))]
    assert len(kept) == 2
    for text in (link, token):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", text)
        assert not any(text in row for row in kept)


def test_what_is_over_is_forgotten(database: Database) -> None:
    for _ in range(3):
        redeem(database, new_sign_in_link_token(database, NOW_MS, 100), NOW_MS, valid_ms=200)
    new_sign_in_link_token(database, NOW_MS + 200, 100)
    with database.read() as tx:
        counts = [
            tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.sign_in_link, tables.web_session)
        ]
    assert counts == [1, 0]
