"""The board and the stock move by themselves, and say when they cannot."""

from playwright.sync_api import Page, expect

from services.devices import FlaskSetup
from tests.e2e.conftest import Complaints, NewContext
from tests.e2e.site import Site, mark, same_document
from tests.e2e.test_job import order

# A lost link is shown within this time: the operator's target.
HONEST_MS = 5_000


def test_a_dispenser_that_goes_offline_says_so_on_every_open_board(new_context: NewContext, site: Site) -> None:
    pages = [new_context().new_page() for _ in range(2)]
    for page in pages:
        page.goto(site.url)
        expect(page.locator("body")).to_have_attribute("data-link", "live")
    site.house.say(site.house.status("line-2", online=False, ms=200))
    for page in pages:
        tile = page.locator("[data-key='device/line-2']")
        expect(tile.locator("[data-bind=presence]")).to_have_text("Offline")
        expect(page.locator("[data-key='device/line-1'] [data-bind=presence]")).to_have_text("Online")


def test_a_job_ordered_elsewhere_appears_and_moves(new_context: NewContext, site: Site) -> None:
    board, other = new_context().new_page(), new_context().new_page()
    board.goto(site.url)
    expect(board.locator("body")).to_have_attribute("data-link", "live")
    mark(board)
    job = order(other, site, Sea_salt="5")
    row = board.locator(f"[data-key='job/{job}']")
    expect(row).to_contain_text("Waiting")
    offer = site.house.offer()
    site.house.accept("line-1", offer)
    site.house.say(site.house.status("line-1", ms=500, job=job))
    expect(row).to_contain_text("Running")
    expect(board.get_by_role("link", name="Working: see the job")).to_have_attribute("href", f"/jobs/{job}")
    site.house.progress("line-1", offer, 0, "dispensing")
    expect(board.locator("[data-key='flask/line-1/1']")).to_have_attribute("data-pouring", "")
    site.house.complete("line-1", offer, ("done", None))
    expect(row).to_contain_text("1 of 1 flasks")
    expect(board.locator("[data-key='flask/line-1/1'] [data-bind=stock_mg]")).to_have_text("95\u202fg")
    assert same_document(board)


def test_a_new_dispenser_gets_its_tile_without_a_reload(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    mark(page)
    site.house.claim("line-3", FlaskSetup(flask=1, ingredient="Cocoa", capacity_mg=9_000), name="Line 3")
    expect(page.locator("[data-key='device/line-3']")).to_contain_text("Cocoa")
    assert same_document(page)


def test_a_movement_shows_on_an_open_stock_page(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/stock")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    mark(page)
    flask = page.locator("[data-key='flask/line-1/3']")
    expect(flask.locator("[data-bind=note]")).to_have_text("Low")
    flask.get_by_text("Refill or count").click()
    with page.context.new_page() as other:
        other.goto(f"{site.url}/stock")
        other.locator("[data-key='flask/line-1/3']").get_by_text("Refill or count").click()
        other.locator("[data-key='flask/line-1/3']").get_by_label("Grams").fill("50")
        other.locator("[data-key='flask/line-1/3']").get_by_role("button", name="Filled in").click()
        expect(other.locator("#movements")).to_contain_text("+50\u202fg")
    expect(flask.locator("[data-bind=stock_mg]")).to_have_text("52\u202fg")
    expect(flask.locator("[data-bind=note]")).to_have_text("")
    expect(page.locator("#movements")).to_contain_text("+50\u202fg")
    assert same_document(page)


def test_a_stopped_server_is_said_within_five_seconds_and_its_return_brings_the_truth(
    page: Page, site: Site, complaints: Complaints
) -> None:
    complaints.expect("WebSocket connection to")
    complaints.expect("ERR_")
    page.goto(site.url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    mark(page)
    banner = page.locator("live-banner")
    expect(banner).to_be_hidden()
    site.stop()
    expect(banner).to_contain_text("No connection to the server. What you see is as of", timeout=HONEST_MS)
    expect(page.locator("link-state")).to_contain_text("As of")
    site.house.say(site.house.status("line-1", online=False, ms=300))
    site.start()
    expect(banner).to_be_hidden()
    expect(page.locator("[data-key='device/line-1'] [data-bind=presence]")).to_have_text("Offline")
    assert same_document(page)


def test_a_silent_server_is_said_within_five_seconds(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expect("WebSocket connection to")
    complaints.expect("ERR_")
    page.goto(site.url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    with site.frozen():
        expect(page.locator("live-banner")).to_contain_text("No connection to the server", timeout=HONEST_MS)
    expect(page.locator("live-banner")).to_be_hidden()


def test_a_broker_out_of_reach_is_said_with_its_time(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    assert site.house.loop is not None
    site.house.loop.call_soon_threadsafe(site.house.feed.source_lost)
    expect(page.locator("live-banner")).to_contain_text("The broker cannot be reached", timeout=HONEST_MS)
    site.house.loop.call_soon_threadsafe(site.house.feed.source_back)
    expect(page.locator("live-banner")).to_be_hidden()


def test_ending_the_session_elsewhere_ends_the_live_page_at_its_next_connection(
    page: Page, site: Site, complaints: Complaints
) -> None:
    complaints.expect("WebSocket connection to")
    complaints.expect("ERR_")
    page.goto(site.url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    page.context.clear_cookies()
    site.stop()
    site.start()
    expect(page.locator("live-banner")).to_contain_text("You are signed out", timeout=10_000)
