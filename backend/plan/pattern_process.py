"""The process that tries regular expressions: a hostile one can be ended from outside here, and nowhere else.

Started by `matching.py` with nothing but the standard library: `python -I -S pattern_process.py`. It reads
{"patterns": [...], "names": [...], "limit_s": 2.0} from stdin and writes one line of JSON for each pattern, in their
order. A pattern that takes longer than the limit ends the process, so its line is the first that is missing.
"""

import faulthandler
import json
import re
import sys


def try_pattern(pattern, names):
    """What is found with one pattern, as in `Match`, with indices in place of names."""
    try:
        compiled = re.compile(pattern)
        whole = [index for index, name in enumerate(names) if compiled.fullmatch(name)]
        part = [] if whole else [index for index, name in enumerate(names) if compiled.search(name)]
    # OverflowError: "a{99999999999}", RecursionError: thousands of nested brackets
    except (re.error, OverflowError, RecursionError) as error:
        return {"fault": str(error), "position": getattr(error, "pos", None)}
    return {"whole": whole, "part": part, "meant": meant_whole(pattern, part, names) if part else ""}


def meant_whole(pattern, part, names):
    """The pattern with `.*` around it where it has none, if that matches these names and no others; else ""."""
    before = "" if pattern.startswith(".*") else ".*"
    after = "" if pattern.endswith(".*") else ".*"
    for meant in (f"{before}{pattern}{after}", f".*({pattern}).*"):  # the second for "a|b"
        try:
            if [index for index, name in enumerate(names) if re.fullmatch(meant, name)] == part:
                return meant
        except (re.error, OverflowError, RecursionError):  # such as flags that may only stand at the beginning
            continue
    return ""


def main():
    asked = json.load(sys.stdin)
    for pattern in asked["patterns"]:
        # A watchdog in C: a thread of Python's would wait for the very match that it is to end.
        faulthandler.dump_traceback_later(asked["limit_s"], exit=True)
        print(json.dumps(try_pattern(pattern, asked["names"])), flush=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
