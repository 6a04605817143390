from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0002_retention"),
    ]

    operations = [
        migrations.AddField(
            model_name="healthcheck",
            name="cause",
            field=models.TextField(null=True),
        ),
    ]
