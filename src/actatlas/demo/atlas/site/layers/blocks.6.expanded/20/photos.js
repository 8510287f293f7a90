actatlas("layers/blocks.6.expanded/20/photos",null);
