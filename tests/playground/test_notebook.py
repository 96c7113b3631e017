from urllib.request import urlopen

from playground.notebook import show


def test_show_serves_a_page_for_each_cell() -> None:
    addresses = {show().src for _ in range(2)}
    assert len(addresses) == 2
    for address in addresses:
        with urlopen(address) as response:
            assert b"<title>Shallow to Deep" in response.read()
