"""The filter of system calls: its numbers against the kernel's headers, its decisions by running its program."""

import errno
import re
import struct
from pathlib import Path

import pytest

from llmbook.grading import seccomp

HEADERS = {
    "x86_64": (0, Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")),
    "aarch64": (1, Path("/usr/include/asm-generic/unistd.h")),
}
BY_ARGUMENT = {
    "clone": seccomp.CLONE,
    "clone3": seccomp.CLONE3,
    "socket": seccomp.SOCKET,
    "socketpair": seccomp.SOCKETPAIR,
    "ioctl": seccomp.IOCTL,
}


def decision(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the filter returns for a call: its program run step by step, as the kernel runs it."""
    column_arch = seccomp.PROCESSORS[machine][1] if arch is None else arch
    padded = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<iIQ6Q", number, column_arch, 0, *padded)
    code = seccomp.program(machine)
    steps = [struct.unpack_from("<HBBI", code, 8 * at) for at in range(len(code) // 8)]
    at = register = 0
    while True:
        kind, yes, no, value = steps[at]
        at += 1
        if kind == seccomp.LOAD:
            (register,) = struct.unpack_from("<I", data, value)
        elif kind == seccomp.RETURN:
            return value
        else:
            holds = {
                seccomp.EQUAL: register == value,
                seccomp.GREATER: register > value,
                seccomp.ANY_BIT: bool(register & value),
            }[kind]
            at += yes if holds else no


def refused(number: int) -> int:
    return seccomp.ERRNO | number


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    column, header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    text = header.read_text()
    listed = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text))
    found = {name: numbers[column] for name, numbers in (seccomp.REFUSED | BY_ARGUMENT).items()}
    known = {name: int(listed[name]) for name in found if name in listed}
    assert len(known) > 70
    assert {name: found[name] for name in known} == known
    later = {name: number for name, number in found.items() if name not in listed and number is not None}
    assert all(number > max(map(int, listed.values())) for number in later.values()), later


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_refused_and_what_is_not(machine: str) -> None:
    column = HEADERS[machine][0]
    special = {numbers[column] for numbers in BY_ARGUMENT.values()}
    named = {numbers[column] for numbers in seccomp.REFUSED.values()}
    for number in range(seccomp.LAST + 1):
        if number in named:
            assert decision(machine, number) == refused(errno.EPERM)
        elif number not in special:
            assert decision(machine, number) == seccomp.ALLOW
    for number in (seccomp.LAST + 1, 0x40000000, 0x40000000 + 29, 0x7FFFFFFF):  # newer calls; x32's on x86_64
        assert decision(machine, number) == refused(errno.ENOSYS)
    assert decision(machine, 0, arch=0x40000003) == seccomp.KILL  # i386


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_decided_by_an_argument(machine: str) -> None:
    column = HEADERS[machine][0]
    clone, clone3, socket, pair, ioctl = (numbers[column] for numbers in BY_ARGUMENT.values())
    threads = 0x003D0F00  # what the C library asks for a thread
    assert decision(machine, clone, threads) == seccomp.ALLOW
    assert decision(machine, clone, 17) == seccomp.ALLOW  # fork
    for bit in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert decision(machine, clone, bit | 17) == refused(errno.EPERM)
    assert decision(machine, clone3, 0) == refused(errno.ENOSYS)
    for call in (socket, pair):
        assert decision(machine, call, 1) == seccomp.ALLOW
        for family in (0, 2, 10, 16, 17, 31, 38, 40, 44):  # inet, inet6, netlink, packet, bluetooth, alg, vsock, xdp
            assert decision(machine, call, family) == refused(errno.EAFNOSUPPORT)
    assert decision(machine, ioctl, 0, 0x5401) == seccomp.ALLOW
    assert decision(machine, ioctl, 0, 0x5412) == refused(errno.EPERM)
    assert decision(machine, ioctl, 0, 0x541C) == refused(errno.EPERM)


def test_another_processor_is_told() -> None:
    assert seccomp.why_no_filter("x86_64") is None
    assert "this machine is riscv64" in (seccomp.why_no_filter("riscv64") or "")
    with pytest.raises(ValueError, match="knows aarch64 and arm64 and x86_64; this machine is riscv64"):
        seccomp.program("riscv64")
