"""What a mail that comes in is and says: bytes in, plain values out, whatever state the mail is in."""
