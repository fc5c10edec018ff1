"""How a fork that is a program ends: with the exit code that the program would have, and never back in the process that it is a fork of."""

import atexit
import contextlib
import os
import sys
import threading
import traceback


@contextlib.contextmanager
def as_a_program(at_exit=False):
    """Ends this process with what is done within. `at_exit`: as an interpreter does, with its threads waited for and atexit called."""
    code = 1
    try:
        yield
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        if at_exit:
            threading._shutdown()
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
