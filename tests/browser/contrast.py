"""The contrast of every visible text of a page with its ground (WCAG 2.2, 1.4.3: at least 4.5 : 1)."""

from __future__ import annotations

from playwright.sync_api import Page

MEASURE = """
(selector) => {
  const parse = (colour) => {
    const parts = colour.match(/[\\d.]+/g).map(Number);
    return [...parts.slice(0, 3), parts[3] ?? 1];
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (upper, lower) => [0, 1, 2].map((i) => upper[i] * upper[3] + lower[i] * (1 - upper[3])).concat(1);
  const groundOf = (element) => {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour[3] === 1) return colour;
    return over(colour, element.parentElement ? groundOf(element.parentElement) : [255, 255, 255, 1]);
  };
  const faint = [];
  for (const root of document.querySelectorAll(selector)) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
      const style = getComputedStyle(element);
      const ground = groundOf(element);
      const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), ground);
      const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < 4.5) faint.push(`${walker.currentNode.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
    }
  }
  return faint;
}
"""


def too_faint(page: Page, selector: str) -> list[str]:
    """The texts inside the elements of the selector that fall short, each with its ratio; backgrounds of one colour."""
    return page.evaluate(MEASURE, selector)
