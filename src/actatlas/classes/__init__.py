"""What a network makes of one class: through the layers, in an atlas of its own, beside another class."""
