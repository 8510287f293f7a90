actatlas("layers/blocks.3.expanded/20/photos",null);
