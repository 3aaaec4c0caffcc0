"""What customers write to us: taken in once, kept as it came, read, and laid where it is answered."""
