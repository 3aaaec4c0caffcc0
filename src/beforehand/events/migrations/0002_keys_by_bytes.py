from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AlterField("eventkey", "source", models.TextField(db_collation="C")),
        migrations.AlterField("eventkey", "source_id", models.TextField(db_collation="C")),
    ]
