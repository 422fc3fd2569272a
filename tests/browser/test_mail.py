"""A mail can be read on light and on dark, on a desk and on a telephone, and loads nothing from anywhere."""

from __future__ import annotations

import pytest

from tests.browser.mail import opened

pytestmark = [pytest.mark.slow, pytest.mark.servers]
# The least contrast of any text with what lies behind it, as WCAG 2 reckons it; 4.5 is its level AA.
CONTRAST = """() => {
    const parts = (css) => css.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll("body *")]
        .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return Math.min(...texts.map((one) => {
        const [a, b] = [light(parts(getComputedStyle(one).color)), light(behind(one))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [760, 360])
def test_a_mail_can_be_read(tmp_path, scheme, width):
    with opened(tmp_path, width=width, scheme=scheme) as page:
        assert page.evaluate(CONTRAST) >= 4.5
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        image = page.locator("img.chart")
        assert image.evaluate("one => one.complete && one.naturalWidth") > 0
        assert "issued 1,840,000.00" in image.get_attribute("alt")
        assert (
            page.get_by_role("link", name="Download").get_attribute("href") == "https://exports.example/d/1"
        )
        background = page.locator("td.card").evaluate(
            "one => getComputedStyle(one.closest('table')).backgroundColor"
        )
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
