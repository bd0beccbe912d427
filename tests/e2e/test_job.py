"""From the order form to the last gram, in a real browser."""

from playwright.sync_api import Browser, Page, expect

from protocol.errors import ITEM_ERRORS
from tests.e2e.conftest import Complaints, NewContext
from tests.e2e.site import Site, mark, same_document


def order(page: Page, site: Site, **grams: str) -> str:
    """Order from line-1 by the form; the id of the job on whose page we are then."""
    page.goto(f"{site.url}/order/line-1")
    for ingredient, amount in grams.items():
        page.get_by_label(ingredient.replace("_", " ")).fill(amount)
    page.get_by_role("button", name="Order").click()
    page.wait_for_url("**/jobs/*")
    return page.url.rsplit("/", 1)[1]


def test_a_one_time_link_leads_to_the_board(browser: Browser, site: Site, complaints: Complaints) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.url + site.house.link())
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Now")).to_be_visible()
        expect(page.get_by_text("Line 1").first).to_be_visible()


def test_an_order_moves_to_its_end_without_a_reload_and_the_stock_goes_down(page: Page, site: Site) -> None:
    job = order(page, site, Sea_salt="12.5", Black_pepper="3")
    house, state = site.house, page.locator("job-head [data-bind=chip]")
    salt, pepper = page.locator("item-row").nth(0), page.locator("item-row").nth(1)
    expect(state).to_have_text("Waiting")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    mark(page)
    offer = house.offer()
    expect(state).to_have_text("Sent")
    house.accept("line-1", offer)
    expect(state).to_have_text("Running")
    house.progress("line-1", offer, 0, "dispensing")
    expect(salt).to_contain_text("Dispensing")
    expect(salt.locator("[data-bind=estimated]")).to_have_text(" estimated")
    expect(salt.locator("[data-bind=dispensed_mg]")).to_contain_text("≈")
    house.progress("line-1", offer, 0, "done")
    expect(salt).to_contain_text("Done")
    expect(salt.locator("[data-bind=dispensed_mg]")).to_have_text("12.5\u202fg")
    expect(salt.locator("[data-bind=estimated]")).to_be_hidden()
    expect(pepper).to_contain_text("Waiting")
    house.complete("line-1", offer, ("done", None), ("done", None))
    expect(state).to_have_text("Done")
    expect(pepper).to_contain_text("Done")
    expect(page.locator("job-head [data-bind=dispensed_mg]")).to_have_text("15.5\u202fg")
    expect(page.locator("#log")).to_contain_text("the flask closed on time")
    expect(page.get_by_text("Stop the job")).to_have_count(0)
    expect(page.locator("[data-bind=settling]")).to_be_hidden()
    assert same_document(page)
    assert house.job(job).state == "done"
    page.goto(f"{site.url}/stock")
    flask = page.locator("[data-key='flask/line-1/1']")
    expect(flask.locator("[data-bind=stock_mg]")).to_have_text("87.5\u202fg")
    expect(page.locator("#movements")).to_contain_text("-12.5\u202fg")


def test_a_jammed_flask_shows_its_reason_and_is_retried_in_two_taps(page: Page, site: Site) -> None:
    job = order(page, site, Sea_salt="1", Black_pepper="2")
    offer = site.house.offer()
    site.house.accept("line-1", offer)
    mark(page)
    site.house.complete("line-1", offer, ("done", None), ("failed", "jammed"))
    expect(page.locator("job-head [data-bind=chip]")).to_have_text("Partly done")
    expect(page.locator("item-row").nth(1)).to_contain_text(ITEM_ERRORS["jammed"])
    expect(page.locator("item-row").nth(0).locator("[data-bind=why]")).to_be_hidden()
    assert same_document(page)
    page.get_by_text("Retry failed flasks").click()
    page.get_by_role("button", name="Order 1 flask again").click()
    page.wait_for_url(lambda url: "/jobs/" in url and not url.endswith(job))
    expect(page.locator("item-row")).to_have_count(1)
    expect(page.locator("item-row")).to_contain_text("Black pepper")
    expect(page.get_by_role("link", name=job)).to_be_visible()


def test_stop_is_held_then_requested_then_confirmed_by_the_dispenser(page: Page, site: Site) -> None:
    job = order(page, site, Sea_salt="50")
    offer = site.house.offer()
    site.house.accept("line-1", offer)
    site.house.progress("line-1", offer, 0, "dispensing")
    expect(page.locator("item-row")).to_contain_text("Dispensing")
    stop = page.get_by_role("button", name="Stop the job")
    stop.click()
    stop.press("Enter")
    assert site.house.job(job).cancel_requested_at_ms is None, "a tap is not a hold"
    stop.hover()
    page.mouse.down()
    expect(page.get_by_text("Stop requested")).to_be_visible()
    page.mouse.up()
    expect(page.locator("job-head [data-bind=chip]")).to_have_text("Running")
    assert site.house.cancel().job == job
    site.house.complete("line-1", offer, ("failed", "cancelled"))
    expect(page.locator("job-head [data-bind=chip]")).to_have_text("Failed")
    expect(page.get_by_text("Stop requested")).to_have_count(0)


def test_stop_can_be_held_by_the_keyboard(page: Page, site: Site) -> None:
    order(page, site, Sea_salt="50")
    page.get_by_role("button", name="Stop the job").focus()
    page.keyboard.down("Space")
    expect(page.locator("job-head [data-bind=chip]")).to_have_text("Stopped")
    page.keyboard.up("Space")


def test_an_item_in_doubt_explains_its_range_and_is_resolved_on_the_page(page: Page, site: Site) -> None:
    order(page, site, Sea_salt="10")
    offer = site.house.offer()
    site.house.accept("line-1", offer)
    site.house.progress("line-1", offer, 0, "dispensing")
    site.house.complete("line-1", offer, ("in_doubt", "interrupted"))
    row = page.locator("item-row")
    expect(row).to_contain_text("In doubt")
    expect(row.locator("[data-bind=doubt]")).to_have_text(
        "Between 0\u202fg and 10\u202fg came out; nobody knows how much. "
        "The stock does not count it until somebody says what came out."
    )
    page.get_by_text("Say what came out of flask 1").click()
    page.get_by_label("Weighed:").check()
    page.get_by_label("Weighed amount in grams").fill("4.5")
    page.get_by_role("button", name="Write it to the ledger").click()
    expect(row).to_contain_text("An operator weighed what came out.")
    page.goto(f"{site.url}/stock")
    expect(page.locator("[data-key='flask/line-1/1'] [data-bind=stock_mg]")).to_have_text("95.5\u202fg")


def test_an_order_that_does_not_fit_is_said_beside_its_flask(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expect("422")
    page.goto(f"{site.url}/order/line-1")
    paprika = page.get_by_label("Smoked paprika")
    paprika.fill("3")
    expect(page.locator("#error-3")).to_have_text("Only 2\u202fg are available.")
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_text("the order wants 3 g")).to_be_visible()
    expect(paprika).to_have_value("3")


def test_without_scripts_one_can_order_and_read(new_context: NewContext, site: Site) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(site.url)
    expect(page.get_by_text("Sea salt").first).to_be_visible()
    job = order(page, site, Sea_salt="2")
    offer = site.house.offer()
    site.house.accept("line-1", offer)
    site.house.complete("line-1", offer, ("failed", "jammed"))
    page.goto(f"{site.url}/jobs/{job}")
    expect(page.locator("item-row")).to_contain_text(ITEM_ERRORS["jammed"])
    expect(page.get_by_text("As of")).to_be_visible()
