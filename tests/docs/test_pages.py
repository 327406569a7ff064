"""Every link leads somewhere, every page can be found, and nothing is promised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README, INDEX = ROOT / "README.md", ROOT / "docs" / "index.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
AROUND = (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INTENT = re.compile(r"\b(will(?! do\b)|(?<!as )soon|planned|upcoming|roadmap|in (?:the|a) future)\b", re.IGNORECASE)
ALLOWED = {
    ("reference/api.md", "will"): "what becomes of a lease that is being closed, or of an object that was deleted",
    ("reference/cli.md", "planned"): "`plan` plans",
    ("reference/hooks.md", "will"): "a question to a plugin",
}
"""(page, word) → why it promises nothing."""
by_page = pytest.mark.parametrize("page", AROUND, ids=lambda page: str(page.relative_to(ROOT)))


def prose(text: str) -> str:
    """Without code, in which nothing is a link or a promise."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of each link that leads into the repository."""
    for target in LINK.findall(
        re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    ):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    found = []
    for path, anchor in links(page):
        if not path.exists():
            found.append(str(path))
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8")):
            found.append(f"{path}#{anchor}")
    return found


def reached(start: Path) -> set[Path]:
    """Pages that links lead to, one after the other."""
    seen, left = {start}, [start]
    while left:
        for path, _ in links(left.pop()):
            if path.suffix == ".md" and path.exists() and path not in seen:
                seen.add(path)
                left.append(path)
    return seen


def promises(page: str, text: str) -> list[str]:
    words = {word.lower() for word in INTENT.findall(prose(text))}
    return sorted(word for word in words if (page, word) not in ALLOWED)


@by_page
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    assert broken(page) == []


def test_links_are_looked_at() -> None:
    assert len(list(links(README))) > 8


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n[a](gone.md) [b](#head) [c](#tail) [d](https://example.com/x)\n", encoding="utf-8")
    assert broken(page) == [str(tmp_path / "gone.md"), f"{page}#tail"]


def test_the_index_links_to_every_page() -> None:
    linked = {path for path, _ in links(INDEX)}
    lacks = {page for page in PAGES if page not in (README, INDEX) and page not in linked}
    assert not {str(page.relative_to(ROOT)) for page in lacks if page.parent.name != "decisions"}


def test_no_page_is_an_orphan() -> None:
    assert not {str(page.relative_to(ROOT)) for page in set(PAGES) - reached(README)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_tells_of_what_is_there_and_promises_nothing(page: Path) -> None:
    name = page.name if page == README else str(page.relative_to(ROOT / "docs"))
    assert promises(name, page.read_text(encoding="utf-8")) == []


def test_a_promise_is_found() -> None:
    assert promises("x.md", "Reservations are planned and will come soon; `will` is code.\n") == [
        "planned",
        "soon",
        "will",
    ]


def test_no_exception_is_idle() -> None:
    for page, word in ALLOWED:
        assert word in {found.lower() for found in INTENT.findall(prose((ROOT / "docs" / page).read_text("utf-8")))}
