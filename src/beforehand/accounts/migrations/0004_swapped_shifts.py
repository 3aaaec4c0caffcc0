from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_colleagues_mail"),
    ]

    operations = [
        migrations.AddField(
            model_name="shift",
            name="planned",
            field=models.JSONField(
                help_text="What the planner said of it, where somebody has changed it by hand since.", null=True
            ),
        ),
    ]
