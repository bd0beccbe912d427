"""A site and a browser: Chromium from the system, never one of playwright's own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from services.ledger.database import Database
from tests.dashboard.house import furnish
from tests.e2e.site import Site, WallClockHouse
from tests.programs import chromium

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="module")  # not longer: while playwright runs, no test of other rooms can run an event loop
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite ledger that was migrated once, to be copied."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def site(tmp_path: Path, empty_ledger: Path) -> Iterator[Site]:
    """A running site with line-1 and line-2, see `furnish`."""
    ledger = Path(shutil.copy(empty_ledger, tmp_path / "pitada.db"))
    database = Database(f"sqlite:///{ledger}")
    house = WallClockHouse(database, ledger)
    furnish(house)
    site = Site(house)
    site.start()
    yield site
    site.stop()
    database.close()


class Complaints:
    """What browsers complained about, less what the test expects."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []
        self._expected: list[str] = []

    def expect(self, words: str) -> None:
        """Complaints with these words in them are part of what is tested."""
        self._expected.append(words)

    def add(self, text: str) -> None:
        if not any(words in text for words in self._expected):
            self.unexpected.append(text)


@pytest.fixture
def complaints() -> Complaints:
    """What browsers complained about: nothing unexpected, at the end."""
    return Complaints()


@pytest.fixture
def new_context(browser: Browser, site: Site, complaints: Complaints) -> Iterator[NewContext]:
    """Makes signed-in browser contexts that may not complain."""
    made: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **options})  # type: ignore[arg-type]  # playwright's own keywords
        context.on("console", lambda said: complaints.add(said.text) if said.type in ("error", "warning") else None)
        context.on("weberror", lambda error: complaints.add(str(error.error)))
        context.set_default_timeout(8_000)
        site.sign_in(context)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert not complaints.unexpected


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page of somebody who signed in."""
    return new_context().new_page()
