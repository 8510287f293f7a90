import sys

from actatlas.cli import main

sys.exit(main())
