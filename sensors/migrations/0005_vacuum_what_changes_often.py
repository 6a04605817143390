from django.db import migrations

# Each row changes its status once, which every index is told of. By default the dead versions wait until
# they are a fifth of the table, a million in five, and the index of what is owed leads through all of them.
SET = """
ALTER TABLE event SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
                    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000)
"""
RESET = """
ALTER TABLE event RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
                      autovacuum_analyze_scale_factor, autovacuum_analyze_threshold)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('sensors', '0004_ids_beside_refs'),
    ]

    operations = [
        migrations.RunSQL(SET, RESET),
    ]
