"""What joins the core to a board: the loop, the stream, flash, and the drivers that need the chip."""
