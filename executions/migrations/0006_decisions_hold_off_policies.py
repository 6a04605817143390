from django.db import migrations

# Who makes executions by policies lets none change until the end of its transaction, and compares the stamp
# in a statement that begins after that: a function's own statements see what was committed meanwhile, the
# statement that calls it doesn't (executions/requesting.py).
DECIDE_BY = """
CREATE FUNCTION policies_hold(known uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('attune.policies', 0));
    RETURN (SELECT stamp FROM policy_stamp WHERE id = 1) IS NOT DISTINCT FROM known;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0005_list_of_waiting'),
    ]

    operations = [
        migrations.RunSQL(DECIDE_BY, "DROP FUNCTION policies_hold(uuid)"),
    ]
