"""The old name of import_checkpoint.py, with the same arguments."""

import sys

from import_checkpoint import main

if __name__ == "__main__":
    print("note: import_xlsr.py is now import_checkpoint.py", file=sys.stderr)
    main()
