"""What people are told, in words, and how it reaches them: by e-mail, by webhook, by a notifier of Airflow.

A notice never holds personal data of members and never a secret: figures, names of files and targets, states, and what
to do. It is written into the outbox (`include.state.notices`) first and sent from there.
"""
