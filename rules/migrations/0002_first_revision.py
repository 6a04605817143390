"""Make the one counter row that orders every change of a rule."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("rules", "0001_rules")]

    operations = [
        migrations.RunSQL(
            "INSERT INTO ruleset_revision (id, revision) VALUES (1, 0) ON CONFLICT DO NOTHING",
            "DELETE FROM ruleset_revision",
        )
    ]
