"""The Celery app and the whole timetable.

Obligations live in PostgreSQL; a tick only looks for them. So a lost tick, a killed worker or an empty broker costs a
second, and a late tick is dropped (`expires`) instead of piling up.
"""

import os

from celery import Celery
from celery.signals import worker_process_init
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "decisioning.config.settings")

from django.conf import settings

from .garbage import search_seldom

NOW, LATER = "now", "later"

app = Celery("decisioning")
app.conf.update(
    broker_url=os.environ.get("CELERY_BROKER_URL", settings.REDIS_URL),
    broker_connection_retry_on_startup=True,
    # A dead worker's task comes back after 3 s instead of 102 s.
    broker_transport_options={
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "visibility_timeout": 3600,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    },
    task_publish_retry=False,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=500,
    worker_hijack_root_logger=False,
    timezone="UTC",
    enable_utc=True,
    task_default_queue=NOW,
    task_queues=[Queue(NOW), Queue(LATER)],
    task_routes={
        "decisioning.tasks.refresh_everything": {"queue": LATER},
        "decisioning.tasks.refresh_bucket": {"queue": LATER},
        "decisioning.tasks.score_bucket": {"queue": LATER},
        "decisioning.tasks.train_scorer": {"queue": LATER},
        "decisioning.tasks.train_for": {"queue": LATER},
        "decisioning.tasks.renew_scorer": {"queue": LATER},
        "decisioning.tasks.watch_scorer": {"queue": LATER},
        "decisioning.tasks.look_at_shadows": {"queue": LATER},
        "decisioning.tasks.foretell_customers": {"queue": LATER},
        "decisioning.tasks.learn_recall": {"queue": LATER},
        "decisioning.tasks.guard_scorer": {"queue": LATER},
        "decisioning.tasks.cluster_customers": {"queue": LATER},
        "decisioning.tasks.compare_clusterings": {"queue": LATER},
        "decisioning.tasks.adopt_clustering": {"queue": LATER},
        "decisioning.tasks.watch_clusters": {"queue": LATER},
        "decisioning.tasks.archive_log": {"queue": LATER},
        "decisioning.tasks.keep_archive": {"queue": LATER},
        "decisioning.tasks.verify_archive": {"queue": LATER},
        "decisioning.tasks.archive_facts": {"queue": LATER},
        "decisioning.tasks.describe_facts": {"queue": LATER},
        "decisioning.tasks.compute_fact": {"queue": LATER},
        "decisioning.tasks.check_quality": {"queue": LATER},
        "decisioning.tasks.refresh_segment": {"queue": LATER},
        "decisioning.tasks.refresh_segments": {"queue": LATER},
        "decisioning.tasks.recheck_segments": {"queue": LATER},
        "decisioning.tasks.keep_log": {"queue": LATER},
        "decisioning.tasks.keep_ledger": {"queue": LATER},
        "decisioning.tasks.import_list": {"queue": LATER},
        "decisioning.tasks.take_back_list": {"queue": LATER},
        "decisioning.tasks.propose_merges": {"queue": LATER},
    },
    beat_schedule={
        "deliver": {"task": "decisioning.tasks.deliver", "schedule": 1.0, "options": {"expires": 2}},
        "responses": {"task": "decisioning.tasks.tell_responses", "schedule": 1.0, "options": {"expires": 2}},
        "webhooks": {"task": "decisioning.tasks.call_webhooks", "schedule": 1.0, "options": {"expires": 2}},
        "snapshot": {"task": "decisioning.tasks.keep_snapshot", "schedule": 1.0, "options": {"expires": 2}},
        "profiles": {"task": "decisioning.tasks.keep_profiles", "schedule": 2.0, "options": {"expires": 2}},
        "scores": {"task": "decisioning.tasks.keep_scores", "schedule": 2.0, "options": {"expires": 2}},
        "sizes": {"task": "decisioning.tasks.recount_segments", "schedule": 10.0, "options": {"expires": 10}},
        "refresh": {"task": "decisioning.tasks.refresh_everything", "schedule": 3600.0, "options": {"expires": 600}},
        "recheck": {"task": "decisioning.tasks.recheck_segments", "schedule": 60.0, "options": {"expires": 60}},
        "ledger": {"task": "decisioning.tasks.keep_ledger", "schedule": 3600.0, "options": {"expires": 600}},
        "count": {"task": "decisioning.tasks.count_ledger", "schedule": 2.0, "options": {"expires": 2}},
        "log": {"task": "decisioning.tasks.keep_log", "schedule": 3600.0, "options": {"expires": 600}},
        "claims": {"task": "decisioning.tasks.propose_claimed", "schedule": 5.0, "options": {"expires": 5}},
        "merges": {"task": "decisioning.tasks.propose_merges", "schedule": 1800.0, "options": {"expires": 1800}},
        "traits": {"task": "decisioning.tasks.catch_up_traits", "schedule": 3600.0, "options": {"expires": 600}},
        "archive": {"task": "decisioning.tasks.archive_log", "schedule": 60.0, "options": {"expires": 60}},
        "tidy": {"task": "decisioning.tasks.keep_archive", "schedule": 3600.0, "options": {"expires": 3600}},
        "verify": {"task": "decisioning.tasks.verify_archive", "schedule": 24 * 3600.0, "options": {"expires": 3600}},
        "describe": {"task": "decisioning.tasks.describe_facts", "schedule": 3600.0, "options": {"expires": 3600}},
        "clusters": {"task": "decisioning.tasks.watch_clusters", "schedule": 1800.0, "options": {"expires": 1800}},
        "quality": {"task": "decisioning.tasks.check_quality", "schedule": 24 * 3600.0, "options": {"expires": 3600}},
        "guard": {"task": "decisioning.tasks.guard_scorer", "schedule": 1800.0, "options": {"expires": 1800}},
        "recall": {"task": "decisioning.tasks.learn_recall", "schedule": 300.0, "options": {"expires": 300}},
        "watch": {"task": "decisioning.tasks.watch_scorer", "schedule": 3600.0, "options": {"expires": 3600}},
        "shadows": {"task": "decisioning.tasks.look_at_shadows", "schedule": 300.0, "options": {"expires": 300}},
        "foretell": {
            "task": "decisioning.tasks.foretell_customers",
            "schedule": 24 * 3600.0,
            "options": {"expires": 3600},
        },
        "renew": {"task": "decisioning.tasks.renew_scorer", "schedule": 300.0, "options": {"expires": 300}},
    },
)
app.autodiscover_tasks(["decisioning"])
worker_process_init.connect(search_seldom)
