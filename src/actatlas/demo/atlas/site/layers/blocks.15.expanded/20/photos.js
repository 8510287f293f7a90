actatlas("layers/blocks.15.expanded/20/photos",null);
