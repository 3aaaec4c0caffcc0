import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0007_erased"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="holding",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector("place", config="simple"), name="customers_holding_places"
            ),
        ),
    ]
