actatlas("columns",{});
