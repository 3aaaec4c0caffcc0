"""Pages for customers: status, my page, the code check."""
