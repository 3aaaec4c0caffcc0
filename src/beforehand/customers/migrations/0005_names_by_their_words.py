import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0004_blocked_contact_points"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="customer", name="customers_name_folded"),
        migrations.AddIndex(
            model_name="customer",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector("name", config="simple"), name="customers_name_words"
            ),
        ),
    ]
