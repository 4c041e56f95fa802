"""``python -m whatsit``."""

from whatsit.cli import main

main()
