import django.db.models.deletion
from django.db import migrations, models


def named(*wanted):
    """Of the columns of owners, these are set and no others."""
    columns = ('owner_action', 'owner_action_ref', 'owner_identity', 'owner_pack', 'owner_pack_ref', 'owner_sensor', 'owner_sensor_ref')
    return {f'{column}__isnull': column not in wanted for column in columns}


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0003_key'),
        ('packs', '0001_packs'),
        ('sensors', '0001_sensors'),
        ('executions', '0001_executions'),
    ]

    operations = [
        migrations.AddField(
            model_name='key',
            name='owner_pack',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='owned_keys', to='packs.pack'),
        ),
        migrations.AddField(
            model_name='key',
            name='owner_action',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='owned_keys', to='executions.action'),
        ),
        migrations.AddField(
            model_name='key',
            name='owner_sensor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='owned_keys', to='sensors.sensor'),
        ),
        migrations.AddConstraint(
            model_name='key',
            constraint=models.CheckConstraint(
                name='key_owner_check',
                condition=models.Q(**named(), owner_type='system')
                | models.Q(**named('owner_identity'), owner_type='identity')
                | models.Q(**named('owner_pack', 'owner_pack_ref'), owner_type='pack')
                | models.Q(**named('owner_action', 'owner_action_ref'), owner_type='action')
                | models.Q(**named('owner_sensor', 'owner_sensor_ref'), owner_type='sensor'),
            ),
        ),
    ]
