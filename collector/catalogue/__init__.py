"""Rate cards as versions: compiled from price catalogues, kept on disk with a digest, and never overwritten."""
