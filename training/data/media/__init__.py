"""Files of clips and pictures, read as players and browsers show them."""
