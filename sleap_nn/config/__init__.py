"""What a user may set: every option is one field, declared with its help text, limits and default.

`fields` says how an option is declared; the ``*_config`` modules hold the options, `training_job_config`
reads, checks and saves a whole training configuration, `inference_config` holds the options of prediction.
Nothing here imports torch. To add an option, add one annotated field: command line, docs and JSON schema
follow. To say that the behaviour of an option exists, remove its ``available=False``.
"""
