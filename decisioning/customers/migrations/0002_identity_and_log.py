"""Identities that may change hands, the evidence for it, and what stands around the log."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='customer',
            name='customer_without_facts',
        ),
        migrations.CreateModel(
            name='DeadLetter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stage', models.CharField(choices=[('intake', 'refused at the door'), ('handling', 'set aside while handling')], max_length=10)),
                ('source', models.CharField(help_text='Where it came from: a door, a file and line, a partition.', max_length=200)),
                ('code', models.CharField(max_length=40)),
                ('reason', models.TextField()),
                ('body', models.BinaryField(help_text='As it was sent; empty where it was too large to keep.')),
                ('event_id', models.UUIDField(blank=True, null=True)),
                ('digest', models.UUIDField(help_text='The same thing refused again for the same reason is one row.', unique=True)),
                ('times', models.IntegerField(default=1)),
                ('at', models.DateTimeField(help_text='Last refused.')),
                ('replayed_at', models.DateTimeField(blank=True, null=True)),
                ('outcome', models.TextField(blank=True, help_text='What the last replay said.')),
            ],
        ),
        migrations.CreateModel(
            name='ImportRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=20)),
                ('path', models.TextField()),
                ('digest', models.CharField(help_text="Of the file's name, size and beginning and the mapping.", max_length=64)),
                ('row', models.BigIntegerField(default=0, help_text='The next row to read.')),
                ('added', models.BigIntegerField(default=0)),
                ('duplicates', models.BigIntegerField(default=0)),
                ('failed', models.BigIntegerField(default=0)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name='Link',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('how', models.CharField(choices=[('event', 'met in one event'), ('alias', 'an alias call'), ('person', 'joined by hand'), ('import', 'an import')], max_length=10)),
                ('at', models.DateTimeField(help_text='When the event happened.')),
                ('message_id', models.CharField(blank=True, max_length=300)),
                ('followed', models.BooleanField(default=False)),
                ('code', models.CharField(blank=True, max_length=30)),
                ('reason', models.TextField(blank=True, help_text='Why it was followed, or why not.')),
                ('refused_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Merge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Pending',
            fields=[
                ('event_id', models.UUIDField(primary_key=True, serialize=False)),
                ('identity_id', models.BigIntegerField()),
                ('attempts', models.SmallIntegerField(default=0)),
                ('problem', models.TextField(blank=True)),
            ],
            options={
                'verbose_name_plural': 'pending events',
            },
        ),
        migrations.CreateModel(
            name='PlannedEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200, unique=True)),
                ('description', models.TextField(blank=True)),
                ('properties', models.JSONField(default=dict, help_text='{property: {"type": …, "required": …, "seen": …, "types": {type: times}}}')),
                ('locked', models.BooleanField(default=False, help_text='Locked: nothing is inferred any more, the types hold.')),
                ('policy', models.CharField(choices=[('count', 'count what does not fit'), ('refuse', 'refuse what does not fit')], default='count', max_length=10)),
                ('keep', models.SmallIntegerField(default=0, help_text='0 keeps its events for ever.', verbose_name='keep for (months)')),
                ('seen', models.BigIntegerField(default=0)),
                ('first_at', models.DateTimeField(blank=True, null=True)),
                ('last_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'planned event',
            },
        ),
        migrations.CreateModel(
            name='PlanProblem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.CharField(max_length=200)),
                ('property', models.CharField(blank=True, max_length=200)),
                ('code', models.CharField(max_length=40)),
                ('day', models.DateField()),
                ('times', models.BigIntegerField(default=0)),
                ('refused', models.BigIntegerField(default=0)),
                ('example', models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('score', models.FloatField(help_text='0 to 1.')),
                ('reasons', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('open', 'open'), ('accepted', 'merged'), ('dismissed', 'not the same')], default='open', max_length=10)),
                ('at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('digest', models.UUIDField(primary_key=True, serialize=False)),
                ('event_id', models.UUIDField(help_text='Its event; to find one by its message id.', null=True)),
            ],
        ),
        migrations.CreateModel(
            name='State',
            fields=[
                ('identity', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='state', serialize=False, to='customers.identity')),
                ('data', models.BinaryField()),
                ('schema', models.CharField(help_text='Digest of what was folded; another one means: rebuild.', max_length=32)),
                ('events', models.BigIntegerField(default=0)),
                ('changed_at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='customer',
            name='merged_into',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='absorbed', to='customers.customer'),
        ),
        migrations.AddField(
            model_name='customer',
            name='unit',
            field=models.CharField(blank=True, help_text='What chances and experiments draw by where it is not the key: the first one survives a merge.', max_length=220),
        ),
        migrations.AddField(
            model_name='identity',
            name='first_at',
            field=models.DateTimeField(blank=True, help_text='The earliest event it was in.', null=True),
        ),
        migrations.AddField(
            model_name='identity',
            name='home',
            field=models.ForeignKey(blank=True, help_text='The customer that came into being with it; it returns there when a merge is undone.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='born', to='customers.customer'),
        ),
        migrations.AlterField(
            model_name='customer',
            name='key',
            field=models.CharField(max_length=220, unique=True),
        ),
        migrations.AlterField(
            model_name='identity',
            name='kind',
            field=models.CharField(choices=[('user_id', 'user id'), ('loyalty_id', 'loyalty id'), ('email', 'e-mail'), ('phone', 'phone'), ('device_id', 'device id'), ('anonymous_id', 'anonymous id')], max_length=20),
        ),
        migrations.AddIndex(
            model_name='customer',
            index=models.Index(condition=models.Q(('merged_into__isnull', True)), fields=['-id'], name='customer_unmerged'),
        ),
        migrations.AddIndex(
            model_name='identity',
            index=models.Index(fields=['value'], name='identity_by_value', opclasses=['varchar_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='deadletter',
            index=models.Index(condition=models.Q(('replayed_at__isnull', True)), fields=['-at'], name='deadletter_open'),
        ),
        migrations.AddIndex(
            model_name='importrun',
            index=models.Index(fields=['digest'], name='importrun_by_digest'),
        ),
        migrations.AddField(
            model_name='link',
            name='one',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='links', to='customers.identity'),
        ),
        migrations.AddField(
            model_name='link',
            name='other',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='links_back', to='customers.identity'),
        ),
        migrations.AddField(
            model_name='link',
            name='refused_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='merge',
            name='by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='merge',
            name='link',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='merges', to='customers.link'),
        ),
        migrations.AddField(
            model_name='merge',
            name='loser',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='merged', to='customers.customer'),
        ),
        migrations.AddField(
            model_name='merge',
            name='undone_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='merge',
            name='winner',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='merges', to='customers.customer'),
        ),
        migrations.AddIndex(
            model_name='pending',
            index=models.Index(fields=['identity_id'], name='pending_of_identity'),
        ),
        migrations.AddConstraint(
            model_name='planproblem',
            constraint=models.UniqueConstraint(fields=('event', 'property', 'code', 'day'), name='planproblem_once'),
        ),
        migrations.AddField(
            model_name='proposal',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='proposal',
            name='one',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='proposals', to='customers.customer'),
        ),
        migrations.AddField(
            model_name='proposal',
            name='other',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='proposals_back', to='customers.customer'),
        ),
        migrations.AddConstraint(
            model_name='link',
            constraint=models.UniqueConstraint(fields=('one', 'other', 'how'), name='link_once'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.UniqueConstraint(condition=models.Q(('undone_at__isnull', True)), fields=('loser',), name='merge_once'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(condition=models.Q(('state', 'open')), fields=['-score'], name='proposal_open'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.UniqueConstraint(fields=('one', 'other'), name='proposal_once'),
        ),
        migrations.AddIndex(
            model_name='link',
            index=models.Index(condition=models.Q(('code', '')), fields=['id'], name='link_unjudged'),
        ),
    ]
