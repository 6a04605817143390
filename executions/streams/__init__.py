"""What web processes do for streams: one listener and one reader for all of them."""
