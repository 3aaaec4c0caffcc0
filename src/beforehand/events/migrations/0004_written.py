"""What customers wrote, by time: an incident's report asks who wrote first."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0003_audit")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX events_event_written ON events_event (occurred_at) WHERE type = 'conversation.message_received'",
            "DROP INDEX events_event_written",
        )
    ]
