//! A terminal at whose prompt a line is typed.

/// A script for Python: types a line at the prompt of a program that does not show it, and prints all output of the
/// terminal. Its arguments are the line, the program and the program's arguments.
pub const TYPE_HIDDEN_LINE: &str = "import os, pty, sys\n\
    pid, terminal = pty.fork()\n\
    if pid == 0: os.execv(sys.argv[2], sys.argv[2:])\n\
    shown = b''\n\
    while b'not shown' not in shown: shown += os.read(terminal, 1024)\n\
    import time; time.sleep(0.2)\n\
    os.write(terminal, sys.argv[1].encode() + b'\\n')\n\
    try:\n    while chunk := os.read(terminal, 1024): shown += chunk\n\
    except OSError: pass\n\
    print(shown.decode())\n\
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
