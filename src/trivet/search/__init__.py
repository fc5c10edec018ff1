"""Which configuration next, and which to stop: functions of a study's fixed history."""
