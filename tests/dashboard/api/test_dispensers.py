"""A dispenser over HTTP: its own password, the same messages, the same ledger."""

import base64
import json
from typing import Any

import pytest

from protocol import codec
from protocol.messages import CompletionReceived, ItemReport, JobAccepted, JobCompleted, OfferJob, StatusReported
from services import devices, orders
from services.ledger import queries
from services.ledger.polling import SILENCE_MS
from tests.dashboard.house import House

API = "/api/v1/devices/me"
EPOCH = "aabbccdd"


class Remote:
    """A dispenser behind a firewall."""

    def __init__(self, house: House, device: str) -> None:
        self.house = house
        self.device = device
        self.password = devices.rotate_password(house.database, device)
        self.client = house.client(signed_in=False)

    def ask(self, method: str, path: str, content: bytes = b"", password: str | None = None, **headers: str) -> Any:
        pair = f"{self.device}:{self.password if password is None else password}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(pair).decode(), **headers}
        return self.client.request(method, API + path, content=content, headers=headers)

    def status(self, **values: Any) -> Any:
        self.house.at_ms += 10
        given = {"online": True, "epoch": EPOCH, "boot": 1, "connection": 2, "ms": self.house.now_ms() % 10**9}
        given |= {"firmware": "1.0", "reset_cause": "power_on", "config_version": 1, "job": None, "last_seq": 0}
        record = StatusReported(**{**given, "receipted_seq": 0, "fault": None, **values})
        return self.ask("POST", "/status", codec.encode(record))

    def offered(self) -> OfferJob:
        answer = self.ask("GET", "/jobs/next")
        assert answer.status_code == 200, answer.text
        return codec.decode(OfferJob, answer.content)

    def completion(self, offer: OfferJob) -> bytes:
        items = tuple(
            ItemReport(
                item=position, flask=item.flask, state="done", target_mg=item.target_mg,
                dispensed_mg=item.target_mg, duration_ms=9, error=None,
            )
            for position, item in enumerate(offer.items)
        )  # fmt: skip
        done = JobCompleted(job=offer.job, seq=offer.seq, state="done", items=items, epoch=offer.epoch, boot=1, ms=2)
        return codec.encode(done)

    def letters(self) -> list[str]:
        with self.house.database.read() as tx:
            return [one.reason for one in queries.dead_letters(tx)]


@pytest.fixture
def remote(house: House) -> Remote:
    return Remote(house, "line-2")


def order(house: House, device: str) -> str:
    """5 g from flask 1."""
    items = [orders.OrderedItem(1, 5_000)]
    placed = orders.place(
        house.database, device=device, items=items, now_ms=house.now_ms(), job_id=house.new_id(), by="ana"
    )
    return placed.job


def stock_mg(house: House) -> int:
    with house.database.read() as tx:
        return next(one.stock_mg for one in queries.stock(tx) if one.device == "line-2")


def test_a_job_from_the_offer_to_the_debit(house: House, remote: Remote) -> None:
    job = order(house, "line-2")
    answer = remote.status().json()
    assert (answer["online"], answer["config"], answer["cancel"], answer["resend"]) == (True, None, None, None)
    offer = remote.offered()
    assert (offer.job, offer.seq, offer.epoch, offer.items[0].target_mg) == (job, 1, EPOCH, 5_000)
    assert remote.offered() == offer, "until it says what became of it"
    accepted = JobAccepted(job=job, seq=1, refusal=None, epoch=EPOCH, boot=1, ms=1)
    assert remote.ask("POST", f"/jobs/{job}/accept", codec.encode(accepted)).status_code == 204
    assert house.job(job).state == "running"
    assert remote.ask("GET", "/jobs/next").status_code == 204
    answers = [remote.ask("POST", f"/jobs/{job}/complete", remote.completion(offer)) for _ in range(3)]
    assert {(one.status_code, one.content) for one in answers} == {
        (200, codec.encode(CompletionReceived(job=job, seq=1, epoch=EPOCH)))
    }
    assert house.job(job).state == "done"
    assert stock_mg(house) == 395_000
    assert remote.letters() == []


def test_the_configuration_comes_before_any_job(house: House, remote: Remote) -> None:
    order(house, "line-2")
    config = remote.status(config_version=0).json()["config"]
    assert (config["version"], config["flasks"][0]["flow_mg_per_s"]) == (1, 2_000)
    assert remote.ask("GET", "/jobs/next").status_code == 204
    remote.status()
    assert remote.ask("GET", "/jobs/next").status_code == 200


def test_a_cancel_comes_with_the_answer_to_a_status(house: House, remote: Remote) -> None:
    job = order(house, "line-2")
    remote.status()
    remote.offered()
    house.client().post(f"/api/v1/jobs/{job}/cancel")
    assert remote.status(job=job, last_seq=1).json()["cancel"] == {"job": job, "seq": 1, "epoch": EPOCH}
    assert remote.ask("GET", "/jobs/next").status_code == 204


def test_a_restored_ledger_asks_for_the_lost_reports_here_too(remote: Remote) -> None:
    remote.status()
    assert remote.status(last_seq=3, receipted_seq=3).json()["resend"] == {"from_seq": 1}


def test_who_is_silent_is_offline_and_comes_back_under_the_next_connection(house: House, remote: Remote) -> None:
    job = order(house, "line-2")
    assert remote.ask("GET", "/jobs/next").status_code == 409
    remote.status()
    house.at_ms += SILENCE_MS - 1_000
    assert remote.offered().job == job
    house.at_ms += SILENCE_MS
    house.dispatch()
    answer = remote.ask("GET", "/jobs/next")
    assert (answer.status_code, answer.json()["code"]) == (409, "status_first")
    assert remote.status().json()["online"] is False
    assert remote.status(connection=3).json()["online"] is True
    assert remote.offered().job == job


@pytest.mark.parametrize("password", ["", "wrong", "x" * 1000, "ü"])
def test_a_wrong_password_is_refused_everywhere(remote: Remote, password: str) -> None:
    for method, path in (
        ("POST", "/status"), ("GET", "/jobs/next"), ("POST", "/jobs/j/accept"), ("POST", "/jobs/j/complete"),
    ):  # fmt: skip
        answer = remote.ask(method, path, b"{}", password)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert remote.letters() == []


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic %%%", "Bearer abc", "Basic bGluZQAtMjp4", "Basic " + base64.b64encode(b"\xff").decode()],
)
def test_a_header_that_is_no_basic_is_refused(remote: Remote, header: str) -> None:
    assert remote.client.get(f"{API}/jobs/next", headers={"Authorization": header}).status_code == 401


def test_a_session_opens_nothing_here_and_a_service_is_no_dispenser(house: House, remote: Remote) -> None:
    assert house.client().get(f"{API}/jobs/next").status_code == 401
    devices.ensure_service_account(house.database, "svc_ingest", "secret", 0)
    remote.device = "svc_ingest"
    assert remote.ask("GET", "/jobs/next", password="secret").status_code == 401


def test_another_sites_origin_does_not_matter_where_no_cookie_does(house: House, remote: Remote) -> None:
    job = order(house, "line-2")
    remote.status()
    done = remote.completion(remote.offered())
    answer = remote.ask("POST", f"/jobs/{job}/complete", done, Origin="https://elsewhere.example")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_another_dispensers_job_changes_nothing_and_is_kept(house: House, remote: Remote) -> None:
    job = order(house, "line-1")
    theirs = Remote(house, "line-1")
    theirs.status()
    done = remote.completion(theirs.offered())
    answer = remote.ask("POST", f"/jobs/{job}/complete", done)
    assert answer.status_code == 200, "it is kept: sending it again would change nothing"
    assert remote.letters() == ["other_device"]
    assert house.job(job).state == "offered"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b"{}", b'{"job":"j","seq":"1"}'])
@pytest.mark.parametrize("path", ["/status", "/jobs/j/accept", "/jobs/j/complete"])
def test_a_malformed_body_is_refused_and_kept_with_its_reason(remote: Remote, path: str, content: bytes) -> None:
    answer = remote.ask("POST", path, content)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "malformed"
    assert remote.letters() == ["malformed"]


def test_a_report_under_another_jobs_address_is_refused_and_kept(house: House, remote: Remote) -> None:
    job = order(house, "line-2")
    remote.status()
    done = remote.completion(remote.offered())
    answer = remote.ask("POST", "/jobs/other/complete", done)
    assert answer.status_code == 422
    assert job in answer.json()["detail"]
    assert remote.letters() == ["malformed"]
    assert house.job(job).state == "offered"


def test_five_kibibytes_are_too_much_and_kept_and_a_flood_is_not_even_read(remote: Remote) -> None:
    padded = json.dumps({"job": "j", "pad": "x" * 5_100}).encode()
    answer = remote.ask("POST", "/jobs/j/complete", padded)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert remote.letters() == ["too_large"]
    answer = remote.ask("POST", "/jobs/j/complete", b"x" * 1_000_000)
    assert answer.status_code == 413
    assert remote.letters() == ["too_large"]
