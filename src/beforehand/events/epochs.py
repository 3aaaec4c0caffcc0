"""After a restore the log goes on in a new epoch: what is written then comes after all that was, for every reader.

Transaction ids may begin anew, and rows that a page or a subscriber has read are gone; a place in an older epoch is past.
"""

RESTORED = "installation.restored"

LEAP = 1_000_000_000
"""How far ids jump at a restore. Those given out after the backup stand in links and in other systems, and name nobody anew."""

RAISE_EPOCH = f"""
DO $$
DECLARE
    following integer;
    counter record;
BEGIN
    -- Minutes, so that putting the same backup back twice is two epochs.
    SELECT greatest(coalesce(max(epoch), 0) + 1, floor(extract(epoch FROM now()) / 60)::integer) INTO following
    FROM (SELECT epoch FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1) newest;
    EXECUTE format('ALTER TABLE events_event ALTER COLUMN epoch SET DEFAULT %s', following);
    FOR counter IN SELECT schemaname, sequencename, coalesce(last_value, start_value) AS value FROM pg_sequences
                   WHERE schemaname = 'public' AND data_type = 'bigint'::regtype LOOP
        PERFORM setval(format('%I.%I', counter.schemaname, counter.sequencename), counter.value + {LEAP});
    END LOOP;
    INSERT INTO events_event (type, actor, subject, data)
    VALUES ('{RESTORED}', 'restore', 'installation', jsonb_build_object('epoch', following));
END $$;
DELETE FROM events_workerbeat;
"""
"""Run in the transaction that puts the backup back."""
