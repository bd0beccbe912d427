"""Operators who order through the dashboard's API, whatever is down: the same request again until it is answered."""

import asyncio
import random
from collections import Counter

import httpx2

from protocol.states import JOB_ENDS
from services import people
from services.clock import now_ms
from services.ledger import stock
from services.ledger.database import Database, DatabaseUnavailable
from simulators.fleet import Fleet
from tests.chaos.house_kills import FLASKS

# Who orders. A request that has no answer is made again so much later, drawn anew each time.
USER = "soak"
_AGAIN_S = (0.5, 2.0)
_ANSWER_S = 10.0

# A flask stays open for 0.1 to 0.6 s: long enough for faults to fall into it.
_TARGET_MG = (2_000, 12_000)

# Of a thousand orders: those that are cancelled within two seconds. Between two looks at what needs somebody: seconds.
_CANCELLED = 80
_CHANGES_MIND_S = 2.0
_LOOK_S = 1.0


class Operators:
    """`placed`: the job that the API answered with, by idempotency key. `answers`: counts by request and status.

    They weigh what an item in doubt has really given (`fleet.truth`), so a resolved item is no longer in doubt.
    """

    def __init__(self, url: str, database: Database, fleet: Fleet, rng: random.Random) -> None:
        self.placed: dict[str, str] = {}
        self.answers: Counter[str] = Counter()
        self.no_answers = 0
        self._url = url
        self._database = database
        self._fleet = fleet
        self._rng = rng
        self._devices = [spec.device for spec in fleet.specs]
        self._asked = 0

    async def work(self, orders_per_s: float, stop: asyncio.Event) -> None:
        """Until `stop` is set; returns when everything that was asked is answered."""
        token = await asyncio.to_thread(people.new_sign_in_link_token, self._database, now_ms(), user=USER)
        async with httpx2.AsyncClient(base_url=self._url, timeout=_ANSWER_S) as client, asyncio.TaskGroup() as tasks:
            await client.post(f"/sign-in/{token}")
            tasks.create_task(self._look_after(client, stop))
            while not stop.is_set():
                tasks.create_task(self._order(client, self._next()))
                await is_set_within(stop, self._rng.expovariate(orders_per_s))

    def _next(self) -> "tuple[str, dict[str, object], float | None]":
        """(key, what is ordered, after how long it is cancelled)."""
        self._asked += 1
        flasks = self._rng.sample(range(1, FLASKS + 1), self._rng.randint(1, FLASKS))
        items = [{"flask": flask, "target_mg": self._rng.randint(*_TARGET_MG)} for flask in flasks]
        cancel_s = self._rng.uniform(0, _CHANGES_MIND_S) if self._rng.randrange(1000) < _CANCELLED else None
        return f"soak-{self._asked}", {"device": self._rng.choice(self._devices), "items": items}, cancel_s

    async def _order(self, client: httpx2.AsyncClient, wanted: "tuple[str, dict[str, object], float | None]") -> None:
        key, what, cancel_s = wanted
        answer = await self._ask(client, "order", "/api/v1/jobs", json=what, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        job = self.placed[key] = answer.json()["job"]
        if cancel_s is not None:
            await asyncio.sleep(cancel_s)
            await self._ask(client, "cancel", f"/api/v1/jobs/{job}/cancel")

    async def _look_after(self, client: httpx2.AsyncClient, stop: asyncio.Event) -> None:
        """Retry a job that did not give everything, and weigh what an item in doubt gave."""
        while not stop.is_set():
            await is_set_within(stop, _LOOK_S)
            path = f"/api/v1/jobs?limit=20&device={self._rng.choice(self._devices)}"
            ended = [job for job in (await self._ask(client, "list", path)).json() if job["state"] in JOB_ENDS]
            doubtful = [
                (job["job"], item["item"])
                for job in ended
                for item in job["items"]
                if item["state"] == "in_doubt" and item["resolution"] is None
            ]
            if doubtful:
                item = self._rng.choice(doubtful)
                weighed_mg = sum(opening.mg for opening in self._fleet.truth.of_item(*item))
                await asyncio.to_thread(self._weigh, *item, weighed_mg)
            short = [job["job"] for job in ended if job["state"] != "done"]
            if short:
                await self._ask(client, "retry", f"/api/v1/jobs/{self._rng.choice(short)}/retry")

    def _weigh(self, job: str, item: int, weighed_mg: int) -> None:
        """As `pitada resolve --weighed` does it; when it cannot be noted now, somebody comes again."""
        try:
            with self._database.write() as tx:
                stock.resolve(tx, job, item, outcome="weighed", weighed_mg=weighed_mg, by=USER, now_ms=now_ms())
        except (DatabaseUnavailable, stock.NotInDoubt):
            return
        self.answers["weighed"] += 1

    async def _ask(
        self,
        client: httpx2.AsyncClient,
        what: str,
        path: str,
        *,
        json: "dict[str, object] | None" = None,
        headers: "dict[str, str] | None" = None,
    ) -> httpx2.Response:
        """The answer, however often it takes; one of the server's own trouble is none."""
        while True:
            try:
                answer = await client.request("GET" if what == "list" else "POST", path, json=json, headers=headers)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code < 500:
                self.answers[f"{what} {answer.status_code}"] += 1
                return answer
            self.no_answers += 1
            await asyncio.sleep(self._rng.uniform(*_AGAIN_S))


async def is_set_within(event: asyncio.Event, within_s: float) -> bool:
    """Whether the event is set, now or in that time; returns as soon as it is."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False
