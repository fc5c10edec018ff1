"""Running a study: settings, planning, composing jobs, workers and how they are started, progress."""
