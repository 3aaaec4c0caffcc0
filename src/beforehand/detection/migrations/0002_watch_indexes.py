"""The watch asks every second which alerts are overdue, and which given up ones are heard of again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("detection", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("status", "firing")), fields=["expires_at"], name="detection_alert_expiry"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("status", "timed_out")), fields=["ends_at"], name="detection_alert_given_up"
            ),
        ),
    ]
