from django.db import migrations

# The words of the WHERE are those of `events.browsing.BY_PEOPLE`.
AUDIT = """
CREATE INDEX events_event_audit ON events_event (recorded_at, id)
WHERE (actor LIKE 'user:%' OR actor LIKE 'token:%' OR actor IN ('command', 'restore'));
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0002_keys_by_bytes")]

    operations = [migrations.RunSQL(AUDIT, "DROP INDEX events_event_audit")]
