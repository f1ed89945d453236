"""Whether the heading of each column of numbers stands over its numbers."""

from playwright.sync_api import Page

_MISALIGNED = """() => {
  const align = each => {
    const words = getComputedStyle(each).textAlign;
    return {start: 'left', '-webkit-auto': 'left', end: 'right'}[words] || words;
  };
  return [...document.querySelectorAll('table')].flatMap(table => {
    if (!table.tHead || getComputedStyle(table.tHead).display === 'none') return [];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const rows = [...table.tBodies].flatMap(body => [...body.rows]).filter(row => row.cells.length === heads.length);
    return heads.filter((head, n) => rows.length && head.getBoundingClientRect().width > 1
      && (align(head) === 'right') !== rows.some(row => align(row.cells[n]) === 'right')).map(head => head.innerText);
  });
}"""


def misaligned_headings(page: Page) -> list[str]:
    """Headings that are not aligned as the numbers below them; tables that are shown as cards have none."""
    return list(page.evaluate(_MISALIGNED))
