"""From HTML to text: article pages, and the fragments that feeds carry."""

import lxml.etree
import lxml.html
import trafilatura

from ingest.entries import collapse

BLOCKS = ("p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "td", "th", "blockquote", "hr")
"""Elements that part two words, where others stand within one."""

HIDDEN = ("script", "style", "noscript", "template", "title")


def text_of_page(page: bytes, url: str) -> str:
    """The article that a page is about, without menus, teasers and comments; empty where none is found."""
    found: str | None = trafilatura.extract(
        page, url=url, output_format="txt", include_comments=False, include_tables=False, favor_precision=True
    )
    return collapse(found or "")


def text_of_fragment(html: str) -> str:
    """A piece of HTML as plain text; a text with no markup in it comes back as it is, with entities decoded."""
    if "<" not in html and "&" not in html:
        return collapse(html)
    try:
        # Within a div, tags of a whole page (`html`, a second `body`, a frameset) are tags like others.
        root = lxml.html.document_fromstring(f"<div>{html}</div>")
    except (lxml.etree.ParserError, ValueError):  # characters that XML does not allow
        return collapse(html)
    lxml.etree.strip_elements(root, *HIDDEN, with_tail=False)  # in one pass: one by one is quadratic
    for block in root.iter(*BLOCKS):
        block.text = f" {block.text or ''}"
        block.tail = f" {block.tail or ''}"
    return collapse(str(root.text_content()))
