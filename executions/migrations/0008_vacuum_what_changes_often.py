from django.db import migrations

# Executions change their status two to four times. By default their dead versions wait until they are a fifth
# of the table, a million in five, and the indexes of what is owed lead through all of them meanwhile.
# The end of an attempt is a change that no index needs to know of, when it finds room on the page of its row.
SET = """
ALTER TABLE execution SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
                           autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000);
ALTER TABLE attempt SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
                         fillfactor = 90);
"""
RESET = """
ALTER TABLE execution RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
                             autovacuum_analyze_scale_factor, autovacuum_analyze_threshold);
ALTER TABLE attempt RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, fillfactor);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0007_lists_of_workers_and_executors'),
    ]

    operations = [
        migrations.RunSQL(SET, RESET),
    ]
