"""The set-up page in a phone's browser."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from firmware.board.portal import Portal
from firmware.board.settings import Settings
from tests.e2e.conftest import ARGS, Complaints
from tests.programs import chromium

PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ0V\n-----END CERTIFICATE-----\n"
PHONE: ViewportSize = {"width": 360, "height": 740}


class Setup:
    """A portal that serves on a loop of its own thread."""

    def __init__(self) -> None:
        self.kept: list[Settings] = []
        self.is_full = False
        self.url = ""
        self.portal: Portal | None = None
        self.is_saved = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def start(self, before: Settings | None = None, notice: str = "", flashed: str = "") -> None:
        asyncio.run_coroutine_threadsafe(self._start(before, notice, flashed), self._loop).result(10)

    async def _start(self, before: Settings | None, notice: str, flashed: str) -> None:
        networks = ["Kitchen Wi-Fi", 'a "quoted" <network>', "Guests"]
        self._server = await asyncio.start_server(lambda *streams: self._portal().serve(*streams), "127.0.0.1", 0)
        address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"http://{address}/"
        self.portal = Portal("pitada-3fa2", address, networks, before, flashed, notice, self._keep)
        self._waiting = asyncio.create_task(self._wait())

    def _portal(self) -> Portal:
        assert self.portal is not None
        return self.portal

    async def _wait(self) -> None:
        await self._portal().wait_saved()
        self.is_saved.set()

    def _keep(self, settings: Settings) -> None:
        if self.is_full:
            raise OSError(28, "ENOSPC")
        self.kept.append(settings)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def setup() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.stop()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A phone, in the light theme unless told otherwise: it may not complain, and asks for nothing but this page."""
    context = browser.new_context(
        viewport=PHONE, color_scheme=getattr(request, "param", "light"), has_touch=True, is_mobile=True
    )
    complaints = Complaints()
    asked: list[str] = []
    context.on("console", lambda said: complaints.add(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.add(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    context.set_default_timeout(8_000)
    yield context.new_page()
    context.close()
    assert not complaints.unexpected
    assert {url.split("/")[2].split(":")[0] for url in asked if not url.startswith("data:")} == {"127.0.0.1"}


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.locator(f"[name={name}]").fill(value)


def problem(page: Page, name: str) -> str:
    field = page.locator(f"[name={name}]")
    assert field.get_attribute("aria-invalid") == "true"
    return page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()


def width_of(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def test_a_phone_sets_a_dispenser_up(setup: Setup, page: Page) -> None:
    setup.start()
    page.goto(setup.url)
    assert "pitada-3fa2" in page.inner_text("main")
    assert page.locator("#networks option").evaluate_all("all => all.map(one => one.value)") == [
        "Kitchen Wi-Fi",
        'a "quoted" <network>',
        "Guests",
    ]
    fill(page, ssid='a "quoted" <network>', wifi_password="p&ss wörd +%", server="Pitada.local", certificates=PEM)
    fill(page, device="kitchen:" + "abcdefgh" * 4)
    assert width_of(page) == PHONE["width"]
    page.get_by_role("button", name="Save and restart").click()
    page.get_by_role("heading", name="Saved").wait_for()
    assert setup.is_saved.wait(10)
    (kept,) = setup.kept
    assert [getattr(kept, name) for name in Settings.NAMES] == [
        'a "quoted" <network>',
        "p&ss wörd +%",
        "pitada.local",
        8883,
        PEM,
        "kitchen",
        "abcdefgh" * 4,
        0,
    ]
    assert 'a "quoted" <network>' in page.inner_text("main")
    assert width_of(page) == PHONE["width"]
    assert setup.portal is not None
    assert setup.portal.clock_s > 0


def test_every_wrong_field_says_at_its_place_what_to_do(setup: Setup, page: Page) -> None:
    setup.start()
    page.goto(setup.url)
    fill(page, ssid="", wifi_password="short", server="mqtt://pitada.local", port="99999", device="Küche", password="")
    page.get_by_text("Load cell (optional)").click()
    fill(page, counts_per_g="many")
    page.get_by_role("button", name="Save and restart").click()
    assert page.get_by_role("alert").inner_text().endswith("8 fields need another look.")
    for name, words in {
        "ssid": "Choose your Wi-Fi network",
        "wifi_password": "8 to 63 characters",
        "server": "without mqtt://",
        "port": "1 to 65535",
        "certificates": "Paste the whole file ca.crt",
        "device": "small letters, digits and hyphens",
        "password": "Type the password that belongs to this id",
        "counts_per_g": "whole number of counts per gram",
    }.items():
        assert words in problem(page, name)
    assert page.evaluate("document.activeElement.name") == "ssid"
    assert page.locator("[name=server]").input_value() == "mqtt://pitada.local"
    assert width_of(page) == PHONE["width"]
    assert setup.kept == []
    # Corrected one by one, the rest stays as typed.
    fill(page, ssid="Guests", wifi_password="", server="192.168.1.20", port="1883", device="kitchen", password="secret")
    fill(page, counts_per_g="-420")
    page.get_by_label("Encrypted").uncheck()
    page.get_by_role("button", name="Save and restart").click()
    page.get_by_role("heading", name="Saved").wait_for()
    assert (setup.kept[0].port, setup.kept[0].certificates, setup.kept[0].counts_per_g) == (1883, "", -420)


def test_encryption_off_hides_the_certificate_and_changes_the_usual_port(setup: Setup, page: Page) -> None:
    setup.start()
    page.goto(setup.url)
    assert page.locator("[name=certificates]").is_visible()
    page.get_by_label("Encrypted").uncheck()
    assert not page.locator("[name=certificates]").is_visible()
    assert page.locator("[name=port]").input_value() == "1883"
    fill(page, port="9000")
    page.get_by_label("Encrypted").check()
    assert page.locator("[name=port]").input_value() == "9000"


def test_a_second_set_up_shows_no_secret_and_keeps_what_is_left_empty(setup: Setup, page: Page) -> None:
    before = Settings("Guests", "guestguest", "pitada.local", 8883, PEM, "kitchen", "s3cret", 420)
    setup.start(before, notice="The Wi-Fi refused the password. Type it again.")
    page.goto(setup.url)
    assert "refused the password" in page.get_by_role("alert").inner_text()
    source = page.content()
    for secret in ("guestguest", "s3cret"):
        assert secret not in source
    assert page.locator("[name=device]").input_value() == "kitchen"
    fill(page, wifi_password="another password")
    page.get_by_role("button", name="Save and restart").click()
    page.get_by_role("heading", name="Saved").wait_for()
    (kept,) = setup.kept
    assert (kept.wifi_password, kept.password, kept.certificates) == ("another password", "s3cret", PEM)


def test_passwords_can_be_looked_at(setup: Setup, page: Page) -> None:
    setup.start()
    page.goto(setup.url)
    secrets = page.locator("[data-secret]")
    assert secrets.evaluate_all("all => all.map(one => one.type)") == ["password", "password"]
    page.get_by_label("Show the passwords").check()
    assert secrets.evaluate_all("all => all.map(one => one.type)") == ["text", "text"]


def test_the_certificate_can_be_chosen_as_a_file(setup: Setup, page: Page) -> None:
    setup.start()
    page.goto(setup.url)
    page.locator("#file").set_input_files({"name": "ca.crt", "mimeType": "text/plain", "buffer": PEM.encode()})
    page.wait_for_function("document.forms[0].certificates.value.includes('BEGIN CERTIFICATE')")


def test_a_flash_that_does_not_keep_the_settings_is_said_and_nothing_typed_is_lost(setup: Setup, page: Page) -> None:
    setup.start(flashed=PEM)
    setup.is_full = True
    page.goto(setup.url)
    fill(page, ssid="Guests", server="pitada.local", device="kitchen", password="s3cret")
    page.get_by_role("button", name="Save and restart").click()
    assert "could not save" in page.get_by_role("alert").inner_text()
    assert page.locator("[name=device]").input_value() == "kitchen"
    setup.is_full = False
    page.get_by_role("button", name="Save and restart").click()
    page.get_by_role("heading", name="Saved").wait_for()
    assert setup.kept[0].certificates == PEM


def test_whatever_a_phone_asks_first_leads_to_the_page(setup: Setup, page: Page) -> None:
    setup.start()
    page.goto(setup.url + "generate_204?x=1")
    assert page.url == setup.url
    page.get_by_role("heading", name="Set up this dispenser").wait_for()


def test_it_works_without_javascript(setup: Setup, browser: Browser) -> None:
    setup.start()
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)
    page = context.new_page()
    page.goto(setup.url)
    fill(page, ssid="Guests", server="pitada.local", certificates=PEM, device="kitchen", password="s3cret")
    page.get_by_role("button", name="Save and restart").click()
    page.get_by_role("heading", name="Saved").wait_for()
    context.close()
    assert setup.is_saved.wait(10)


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("is_wrong", [False, True])
def test_what_is_to_be_touched_is_large_enough_and_what_is_to_be_read_stands_out(
    setup: Setup, page: Page, is_wrong: bool
) -> None:
    setup.start()
    page.goto(setup.url)
    if is_wrong:
        page.get_by_role("button", name="Save and restart").click()
        page.get_by_role("alert").wait_for()
    low = page.evaluate(
        "[...document.querySelectorAll('button, input:not([type=hidden], [type=checkbox]), textarea, .row, summary')]"
        ".filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect().height)"
    )
    assert min(low) >= 44
    assert page.evaluate(CONTRAST) >= 4.5


# The lowest contrast of any text against the nearest ground behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const rgb = css => css.match(/[\\d.]+/g).map(Number);
  const light = css => {
    const [r, g, b] = rgb(css).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const css = getComputedStyle(one).backgroundColor;
      if (rgb(css)[3] !== 0) return css;
    }
    return "rgb(255, 255, 255)";
  };
  let lowest = 21;
  for (const one of document.querySelectorAll("main *")) {
    const says = [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || one.matches("input, textarea");
    if (!says || !one.checkVisibility() || one.matches("script, option, [type=checkbox], [type=hidden]")) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    lowest = Math.min(lowest, (a + 0.05) / (b + 0.05));
  }
  return lowest;
}"""
