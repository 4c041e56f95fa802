"""The frame around every page: style, mark and header."""

from html import escape

from whatsit.web.ui.views.frame import MARK_FILE, footer, header, style
from whatsit.web.ui.views.sign_in import signed_in_as, welcome


def test_the_style_sheet_and_the_mark_are_in_the_page_itself():
    assert ".whatsit-head" in style()
    assert "<svg" in MARK_FILE.read_text(encoding="utf-8")
    for part in (header(), welcome()):
        assert '<img src="data:image/svg+xml;base64,' in part


def test_names_from_elsewhere_are_escaped():
    assert escape("<b>") in footer("<b>")
    assert escape("<b>") in signed_in_as({"name": "", "email": "<b>"})
    assert "somebody" in signed_in_as({})
