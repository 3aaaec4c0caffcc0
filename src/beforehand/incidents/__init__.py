"""Problems that touch customers: scope, affected list, updates, end."""
