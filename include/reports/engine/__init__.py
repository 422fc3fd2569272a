"""What every report runs on: partitions, booking, joins and files in bounded memory."""
