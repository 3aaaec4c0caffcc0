from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "beforehand.customers"
    label = "customers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let intake find the customers that the outside world names; say what is held on them."""
        from beforehand.customers import erasure
        from beforehand.customers.queries import resolve_customers
        from beforehand.events.resolvers import register_customer_resolver

        register_customer_resolver(resolve_customers)
        erasure.register()
