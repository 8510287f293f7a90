actatlas("layers/blocks.11.expanded/20/photos",null);
