"""Gives a program a terminal, and answers what it asks.

    terminal.py QUESTION ANSWER... -- PROGRAM ARGUMENT...

Each time the program has said QUESTION, the next ANSWER is given: `COMMAND => LINE` runs a shell command
first, then types LINE. What the program said goes to stdout; the exit code is its own, or 99 where a
command failed.
"""

import os
import pty
import subprocess
import sys

end = sys.argv.index("--")
question, answers, program = sys.argv[1].encode(), sys.argv[2:end], sys.argv[end + 1:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
said, given = b"", 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if said.count(question) > given < len(answers):
        command, _, line = answers[given].partition(" => ")
        given += 1
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.stdout.buffer.write(said + done.stdout)
            os.kill(child, 9)
            os.waitpid(child, 0)
            sys.exit(99)
        os.write(terminal, line.encode() + b"\n")
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
