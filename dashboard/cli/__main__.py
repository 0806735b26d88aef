"""`python -m dashboard.cli` is `fmdash`."""

import sys

from dashboard.cli import main

sys.exit(main())
