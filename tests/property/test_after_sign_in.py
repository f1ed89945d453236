"""Whatever address comes with a sign-in, a browser stays on this service."""

from urllib.parse import urljoin, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from dnapredict.service.auth.after_sign_in import page_after_sign_in
from dnapredict.service.auth.staff import StaffRole

ADDRESSES = st.text(st.sampled_from("/\\.:?#%@ \t\r\nae\x00é0"), max_size=20) | st.text(max_size=40)


@given(ADDRESSES)
def test_no_address_leads_to_another_host(asked: str) -> None:
    page = page_after_sign_in(asked, {StaffRole.ADMINISTRATOR})
    # Browsers drop tabs and line ends from an address, and read a backslash as a slash.
    assert not set(page) & set("\\\t\r\n ")
    assert urlsplit(urljoin("https://dnapredict.example/sign-in", page)).netloc == "dnapredict.example"
    assert page == asked or page == "/"
