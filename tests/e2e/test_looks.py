"""What holds for every page, in both themes, on a phone and at a desk."""

import pytest
from playwright.sync_api import Page, expect

from protocol.messages import OfferJob
from tests.e2e.conftest import Complaints, NewContext
from tests.e2e.site import Site

# Text below AA (WCAG 2.2, 1.4.3): 4.5:1, or 3:1 from 24 px, or from 18.66 px when bold.
LOW_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3])).concat(1);
  const ground = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!words || !element.checkVisibility() || element.closest("svg")) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const [a, b] = [luminance(over(rgba(style.color), under)), luminance(under)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if ((a + 0.05) / (b + 0.05) < least) found.push(`${words.slice(0, 30)}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return found;
}"""

# Controls smaller than a thumb. Links inside a sentence are as high as their line, as WCAG 2.5.8 allows.
SMALL_TARGETS = """() => [...document.querySelectorAll("button, summary, select, input:not([type=hidden]), a")]
  .filter((element) => element.checkVisibility() && !element.classList.contains("skip"))
  .filter((element) => !element.closest("p:not(.pager, .tile-foot, .eyebrow), dd, .movement-what"))
  .map((element) => [element, (element.closest("label") ?? element).getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.9 || box.width < 43.9)
  .map(([element, box]) => `${element.outerHTML.slice(0, 60)}: ${box.width.toFixed(0)} x ${box.height.toFixed(0)}`)"""

NAMELESS = """() => [...document.querySelectorAll("button, a, select, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility() && !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 80))"""


@pytest.fixture
def pages(site: Site) -> list[str]:
    """Every page, with jobs in every kind of state and stock that is low, empty and below zero."""
    house = site.house
    client = house.client()

    def order(device: str, *items: tuple[int, int]) -> str:
        body = {"device": device, "items": [{"flask": flask, "target_mg": target_mg} for flask, target_mg in items]}
        job: str = client.post("/api/v1/jobs", json=body).json()["job"]
        return job

    partial = order("line-1", (1, 40_000), (2, 1_500), (3, 2_000), (1, 500))
    offer = house.offer()
    house.accept("line-1", offer)
    client.post("/stock/line-1/3", data={"kind": "count", "grams": "0.5"})
    ends = (("done", None), ("failed", "jammed"), ("done", None), ("in_doubt", "interrupted"))
    house.complete("line-1", offer, *ends)
    stopping = order("line-1", (1, 20_000), (2, 5_000))
    offer = house.offer()
    house.accept("line-1", offer)
    house.progress("line-1", offer, 0, "dispensing")
    client.post(f"/api/v1/jobs/{stopping}/cancel")
    running = order("line-2", (1, 30_000))
    [offer] = [message for message in house.dispatch() if isinstance(message, OfferJob)]
    house.accept("line-2", offer)
    house.progress("line-2", offer, 0, "dispensing")
    waiting = order("line-2", (1, 1_000))
    mild = [{"ingredient": "Sugar", "amount_mg": 500}]
    client.post("/api/v1/recipes", json={"name": "A mild mixture for the second half of the week", "items": mild})
    made = {"recipe": "a mild mixture for the second half of the week", "scale": 1.5, "device": "line-2"}
    mixture = client.post("/api/v1/jobs", json=made).json()["job"]
    house.say(house.status("line-2", ms=900, job=running))
    jobs = [f"/jobs/{job}" for job in (partial, stopping, running, waiting, mixture)]
    return ["/", "/jobs", *jobs, "/order", "/order/line-1", "/stock", house.link(), "/nothing"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_reads_and_can_be_touched(
    new_context: NewContext, site: Site, pages: list[str], complaints: Complaints, theme: str, width: int
) -> None:
    complaints.expect("404")
    context = new_context(viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    for path in pages:
        page.goto(site.url + path)
        if page.locator("body[data-feed]").count():
            expect(page.locator("body")).to_have_attribute("data-link", "live")
        page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(LOW_CONTRAST) == [], path
        assert page.evaluate(SMALL_TARGETS) == [], path
        assert page.evaluate(NAMELESS) == [], path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_greyed_values_stay_readable(new_context: NewContext, site: Site, complaints: Complaints, theme: str) -> None:
    complaints.expect("WebSocket connection to")
    page = new_context(color_scheme=theme, reduced_motion="reduce").new_page()
    page.goto(site.url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    site.stop()
    expect(page.locator("live-banner")).to_be_visible()
    assert page.evaluate(LOW_CONTRAST) == []


def test_the_whole_flow_works_by_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/order/line-1")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    page.get_by_label("Sea salt").focus()
    page.keyboard.type("2")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    offer = site.house.offer()
    site.house.accept("line-1", offer)
    site.house.complete("line-1", offer, ("done", None), ("failed", "jammed"))
    retry = page.locator("summary").filter(has_text="Retry failed flasks")
    expect(retry).to_be_visible()
    retry.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("item-row")).to_have_count(1)


def test_stop_is_large_and_apart_from_everything_else(new_context: NewContext, site: Site, pages: list[str]) -> None:
    for width in (360, 1280):
        page = new_context(viewport={"width": width, "height": 800}).new_page()
        page.goto(site.url + pages[4])
        page.wait_for_load_state("networkidle")
        box = page.get_by_role("button", name="Stop the job").bounding_box()
        assert box is not None
        assert box["height"] >= 48
        others = page.locator("main :is(a, button, summary):not(.stop)").all()
        for other in [other.bounding_box() for other in others]:
            assert other is None or other["y"] + other["height"] < box["y"] - 16 or other["y"] > box["y"] + 64


def test_the_scripts_weigh_less_than_100_kilobytes(new_context: NewContext, site: Site) -> None:
    sizes: list[int] = []
    page = new_context().new_page()
    page.on("response", lambda response: sizes.append(len(response.body())) if response.url.endswith(".js") else None)
    page.goto(site.url)
    page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes) < 100_000
