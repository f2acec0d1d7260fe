"""Settings, addresses, the web doors and the Celery app with its timetable."""
