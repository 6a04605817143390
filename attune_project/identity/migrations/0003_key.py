import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0002_permission_set_pack'),
    ]

    operations = [
        migrations.CreateModel(
            name='Key',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('created', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('updated', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('ref', models.CharField(max_length=255)),
                ('owner_type', models.CharField(choices=[('system', 'System'), ('identity', 'Identity'), ('pack', 'Pack'), ('action', 'Action'), ('sensor', 'Sensor')], max_length=20)),
                ('owner', models.CharField(max_length=255)),
                ('owner_pack_ref', models.CharField(blank=True, max_length=255, null=True)),
                ('owner_action_ref', models.CharField(blank=True, max_length=255, null=True)),
                ('owner_sensor_ref', models.CharField(blank=True, max_length=255, null=True)),
                ('name', models.CharField(max_length=255)),
                ('encrypted', models.BooleanField(default=True)),
                ('encryption_key_hash', models.CharField(blank=True, max_length=64, null=True)),
                ('value', models.JSONField()),
                ('owner_identity', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='owned_keys', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'key',
                'ordering': ('-created', '-id'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('ref',), name='key_ref_key'), models.UniqueConstraint(fields=('owner_type', 'owner', 'name'), name='key_owner_name_key'), models.CheckConstraint(condition=models.Q(('owner_type__in', ['system', 'identity', 'pack', 'action', 'sensor'])), name='key_owner_type_check'), models.CheckConstraint(condition=models.Q(models.Q(('encrypted', True), ('encryption_key_hash__isnull', False)), models.Q(('encrypted', False), ('encryption_key_hash__isnull', True)), _connector='OR'), name='key_encryption_check')],
            },
        ),
    ]
