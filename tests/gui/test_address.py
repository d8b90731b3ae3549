import socket

import pytest

from backend.errors import InputError
from gui.address import check_access, listen, network_address, page_address


def test_a_taken_port_gives_the_next_free_one():
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = listen("127.0.0.1", port)
    try:
        assert port < second.getsockname()[1] <= port + 100
    finally:
        first.close()
        second.close()


def test_a_port_taken_on_all_interfaces_is_taken():
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        mine = listen("127.0.0.1", other.getsockname()[1])
        assert mine.getsockname()[1] != other.getsockname()[1]
        mine.close()


def test_a_host_that_is_not_this_machine_is_refused():
    with pytest.raises(InputError, match=r"--host 192.0.2.1 --port 7860: "):
        listen("192.0.2.1", 7860)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "::1"])
def test_this_machine_needs_no_login(host):
    check_access(host, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gpubox.lan", "", "127.0.0.1.evil.example"])
def test_any_other_host_needs_a_login(host):
    check_access(host, "me:secret")
    with pytest.raises(InputError, match=r"without a login .*--auth USER:PASSWORD"):
        check_access(host, "")


@pytest.mark.parametrize("login", ["me", "me:", ":secret"])
def test_half_a_login_is_none(login):
    with pytest.raises(InputError, match="wanted USER:PASSWORD"):
        check_access("127.0.0.1", login)


def test_on_all_interfaces_there_is_an_address_for_this_machine_and_one_for_others():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert page_address(listener, host="0.0.0.0") == f"http://127.0.0.1:{port}/"
        assert page_address(listener, host="::1") == f"http://[::1]:{port}/"
        assert network_address(listener, host="0.0.0.0") == f"http://{socket.gethostname()}:{port}/"
        assert network_address(listener, host="127.0.0.1") == ""
