#!/bin/sh
# Starts LoRA Loom: finds a Python 3.10 or newer and hands every argument to launch.py, where the work is done.
here=$(dirname -- "$(readlink -f -- "$0" 2>/dev/null || printf '%s\n' "$0")")
for python in "$here/.venv/bin/python" python3.13 python3.12 python3.11 python3.10 python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
        exec "$python" "$here/launch.py" "$@"
    fi
done
echo "LoRA Loom needs Python 3.10 or newer and found none: get it from https://www.python.org/downloads/ (Debian, Ubuntu: sudo apt install python3 python3-venv), then start again." >&2
exit 1
