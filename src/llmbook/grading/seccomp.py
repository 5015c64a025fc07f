"""A filter of system calls for code that is not trusted: what a sandbox leaves reachable in the kernel and no exercise needs.

Namespaces hide files, processes and networks; some parts of the kernel know no namespace (its keyring), hand out memory that
is charged to nobody (System V shared memory, memfds), or are large and young (io_uring, BPF). A program of the kernel's classic BPF
decides on each call before it runs: allowed, or refused with an error number. Numbers beyond those known here are refused too, so that a
newer kernel opens nothing; whoever calls by another processor's interface is ended.

Kernel documentation: userspace-api/seccomp_filter.rst. The numbers are those of linux/unistd.h, to which a test holds them.

Leaves out: a list of what is allowed in place of what is refused, as container engines keep it, with several hundred names.

Book: §0
"""

import errno
import platform
import struct
from collections.abc import Iterable

# name: (x86_64, aarch64 and the other processors of the generic table)
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the kernel's keyring is one for all namespaces of a user
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    # memory and messages that outlive a process and are counted to none
    **{"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197)},
    **{"semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192)},
    **{"msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187)},
    **{"mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182)},
    **{"mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185)},
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447)},
    # namespaces and mounts inside the sandbox
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39)},
    **{"pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429)},
    **{"fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433)},
    **{"mount_setattr": (442, 442), "open_tree_attr": (467, 467), "statmount": (457, 457), "listmount": (458, 458)},
    # large interfaces to the kernel's inside
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "fanotify_init": (300, 262)},
    **{"fanotify_mark": (301, 263), "vmsplice": (278, 75), "modify_ldt": (154, None)},
    # other processes
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"pidfd_getfd": (438, 438), "process_madvise": (440, 440), "migrate_pages": (256, 238), "move_pages": (279, 239)},
    # files by handle, past the mounts
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    # the machine: none of it would be allowed anyway
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "init_module": (175, 105)},
    **{"finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225)},
    **{"acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116)},
    **{"settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266)},
    **{"sethostname": (170, 161), "setdomainname": (171, 162), "personality": (135, 92), "vhangup": (153, 58)},
    **{"ioperm": (173, None), "iopl": (172, None), "uselib": (134, None)},
}
# decided by an argument
CLONE, CLONE3, SOCKET, SOCKETPAIR, IOCTL = (56, 220), (435, 435), (41, 198), (53, 199), (16, 29)
NEW_NAMESPACES = 0x7E020000  # mount, cgroup, uts, ipc, user, pid, net
AF_UNIX = 1
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: writing into the terminal that started the judge
LAST = 470  # the newest call known here

PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}  # column, AUDIT_ARCH

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 64 bits wide, little endian


def why_no_filter(machine: str | None = None) -> str | None:
    """Why calls cannot be filtered on this processor (or on `machine`), or None."""
    machine = machine or platform.machine()
    if machine in PROCESSORS:
        return None
    return f"the filter of system calls knows {' and '.join(sorted(PROCESSORS))}; this machine is {machine}"


def program(machine: str | None = None) -> bytes:
    """The filter, as `bwrap --seccomp` reads it: `struct sock_filter` after `struct sock_filter`.

    Raises:
        ValueError: a processor that it does not know.
    """
    machine = machine or platform.machine()
    if reason := why_no_filter(machine):
        raise ValueError(reason)
    column, arch = PROCESSORS[machine]
    steps = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    steps += [(GREATER, 0, 1, LAST), _refuse(errno.ENOSYS)]
    for numbers in REFUSED.values():
        if (number := numbers[column]) is not None:
            steps += [(EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    # clone3 hides its flags behind a pointer; told that there is none, the C library falls back to clone
    steps += [(EQUAL, 0, 1, CLONE3[column]), _refuse(errno.ENOSYS)]
    steps += _when(CLONE[column], 0, [(ANY_BIT, 0, 1, NEW_NAMESPACES), _refuse(errno.EPERM)])
    for call in (SOCKET, SOCKETPAIR):
        steps += _when(call[column], 0, [(EQUAL, 1, 0, AF_UNIX), _refuse(errno.EAFNOSUPPORT)])
    for request in TERMINAL_INPUT:
        steps += _when(IOCTL[column], 1, [(EQUAL, 0, 1, request), _refuse(errno.EPERM)])
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def _refuse(number: int) -> tuple[int, int, int, int]:
    return (RETURN, 0, 0, ERRNO | number)


def _when(number: int, argument: int, steps: Iterable[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Steps on an argument's low half, for one call only; afterwards the call's number stands in the register again."""
    body = [(LOAD, 0, 0, ARGUMENTS + 8 * argument), *steps, (LOAD, 0, 0, NUMBER)]
    return [(EQUAL, 0, len(body), number), *body]
