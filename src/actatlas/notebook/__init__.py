"""An atlas → its page inside a notebook: live, as Python answers it (widget.py), or whole, for good (embedding.py)."""
