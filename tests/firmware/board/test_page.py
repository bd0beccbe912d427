"""The set-up page says nothing that it was not told, and runs nothing that was typed."""

from html.parser import HTMLParser

from firmware.board.page import escape, form_page, saved_page
from firmware.board.settings import Settings

NASTY = """"><script>alert(1)</script>&amp;'"""


class Seen(HTMLParser):
    """The scripts, and every value of an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.values: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.values += [value for _name, value in attrs]


def seen(page: bytes) -> Seen:
    seen = Seen()
    seen.feed(page.decode())
    return seen


def test_what_was_typed_and_what_networks_call_themselves_is_text() -> None:
    names = [name for name in Settings.NAMES if name != "certificates"]
    form = dict.fromkeys(names, NASTY)
    page = seen(form_page(NASTY, [NASTY], form, dict.fromkeys(names, NASTY), None, NASTY, False))
    assert page.scripts == 1
    assert page.values.count(NASTY) == len(names) + 1
    settings = Settings(NASTY, "", "", 1, "", "", "", 0)
    assert seen(saved_page(settings)).scripts == 0


def test_it_fits_into_the_memory_of_a_board() -> None:
    names = [f"network number {number}" for number in range(20)]
    assert len(form_page("pitada-0000", names, {}, {}, None, "", False)) < 10_000


def test_text_is_escaped_for_attributes_too() -> None:
    assert escape('<a href="x">&') == "&lt;a href=&quot;x&quot;&gt;&amp;"
