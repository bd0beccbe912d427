"""The figure of the CONNECTs after the broker's kill."""

import xml.etree.ElementTree as ET

from scripts.draw_connects import draw

SVG = "{http://www.w3.org/2000/svg}"


def test_each_second_has_its_bar_as_high_as_its_count() -> None:
    root = ET.fromstring(draw([0, 500, 1000, 250], "CONNECTs"))  # noqa: S314  # our own text
    high = [float(bar.attrib["height"]) for bar in root.iter(f"{SVG}rect")]
    assert [round(each / high[2], 2) for each in high] == [0, 0.5, 1, 0.25]
    labels = [text.text for text in root.iter(f"{SVG}text")]
    assert {"0", "500", "1,000", "CONNECTs", "0 s"} <= set(labels)


def test_a_quiet_run_has_a_picture_too() -> None:
    assert ET.fromstring(draw([0, 0, 3], "CONNECTs")).tag == f"{SVG}svg"  # noqa: S314  # our own text
