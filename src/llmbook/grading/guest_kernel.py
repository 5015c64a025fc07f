"""The kernel inside the sandbox: Jupyter's own, without what would listen on a network, and not ended by `exit()`.

The sandbox gets this file beside `guest.py`. No socket can be made there but those of files: the kernel's debugger and the
pipe by which it gathers what forked processes print would open others, and ZeroMQ ends the process where it cannot.

Book: §0
"""

import sys
from typing import Any

from ipykernel import kernelapp


class QuietThread(kernelapp.IOPubThread):
    """The thread that sends outputs, of this process alone."""

    def __init__(self, socket: Any, pipe: bool = False, session: Any = False):
        super().__init__(socket, pipe=False, session=session)


def main() -> None:
    """`python llmbook_kernel.py CONNECTION_FILE`"""
    kernelapp.IOPubThread = QuietThread  # type: ignore[misc]
    app = kernelapp.IPKernelApp.instance()
    app.initialize(["-f", sys.argv[1]])
    assert app.shell is not None
    app.shell.ask_exit = lambda: print("exit() does not end the notebook when it is graded")
    app.start()


if __name__ == "__main__":
    main()
