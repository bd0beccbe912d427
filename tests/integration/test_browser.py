"""The whole house in a real browser: nothing is played, from the form to the simulated gate and back to the pixel."""

from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from pitada.cli.output import grams
from protocol.errors import ITEM_ERRORS
from services.ledger import queries
from services.ledger.database import Database
from simulators import faults
from simulators.faults import Fault, FixedFaults
from simulators.fleet import Fleet
from tests.integration.houses import running_house
from tests.programs import chromium

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def stock_mg(database: Database, device: str, flask: int) -> int:
    with database.read() as tx:
        return next(one.stock_mg for one in queries.stock(tx) if (one.device, one.flask) == (device, flask))


async def order(page: Page, url: str, device: str, ingredient: str, amount: str) -> None:
    """Fills the form, and marks the page of the job, so that a reload would show."""
    await page.goto(f"{url}/order/{device}")
    await page.get_by_label(ingredient).fill(amount)
    await page.get_by_role("button", name="Order").click()
    await page.wait_for_url("**/jobs/*")
    await page.evaluate("document.body.dataset.mark = 'same'")


async def test_an_order_runs_to_its_end_and_a_jam_says_why(tmp_path: Path) -> None:
    plans = {"bar": FixedFaults({1: Fault(faults.JAM)})}
    complaints: list[str] = []
    async with (
        running_house(tmp_path / "data", "embedded") as running,
        Fleet(
            running.specs,
            running.house.broker.host,
            running.house.broker.port,
            plan=lambda device: plans.get(device, FixedFaults()),
        ) as fleet,
        async_playwright() as playwright,
    ):
        house = running.house
        await fleet.wait_until(lambda: fleet.connected == len(running.specs), within_s=20)
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        page = await browser.new_page(locale="en-GB")
        page.set_default_timeout(15_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(house.sign_in_url())
        await page.get_by_role("button", name="Sign in").click()

        before_mg = stock_mg(house.database, "bakery", 1)
        await order(page, house.url, "bakery", "Flour", "12.5")
        await expect(page.locator("job-head [data-bind=chip]")).to_have_text("Done", timeout=15_000)
        left_mg = fleet.left_mg("bakery", 1)
        assert left_mg >= 12_500
        assert before_mg - stock_mg(house.database, "bakery", 1) == left_mg
        shown = page.locator("item-row [data-bind=dispensed_mg]").first
        await expect(shown).to_have_text(f"{grams(left_mg)}\u202fg")
        assert await page.evaluate("document.body.dataset.mark") == "same"

        await page.goto(f"{house.url}/stock")
        flour = page.locator("[data-key='flask/bakery/1'] [data-bind=stock_mg]")
        await expect(flour).to_have_text(f"{grams(before_mg - left_mg)}\u202fg")

        await order(page, house.url, "bar", "Mint", "2")
        await expect(page.locator("job-head [data-bind=chip]")).to_have_text("Failed", timeout=15_000)
        await expect(page.locator("item-row").first).to_contain_text(ITEM_ERRORS["jammed"])
        assert await page.evaluate("document.body.dataset.mark") == "same"
        assert fleet.left_mg("bar", 1) == 0
        await browser.close()
    assert complaints == []
