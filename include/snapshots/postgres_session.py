"""What is asked of PostgreSQL when a database transaction begins: how it reads, when it began, who else writes."""

# Rows come in the order in which they were written: parallel workers would shuffle them.
SESSION = """SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL client_connection_check_interval = '1s';
SET LOCAL synchronize_seqscans = off;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL statement_timeout = """
# Other sessions whose start we may not see make the answer unknown; prepared transactions count too.
OPEN = """
SELECT (EXTRACT(EPOCH FROM transaction_timestamp()) * 1000000)::bigint,
       bool_or(hidden), (EXTRACT(EPOCH FROM min(start)) * 1000000)::bigint
FROM (SELECT query = '<insufficient privilege>' AS hidden, xact_start AS start FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      UNION ALL SELECT false, prepared FROM pg_prepared_xacts WHERE database = current_database()) AS open"""
# Of a replica (no row on a primary), before the transaction sees its state: when the last transaction that was
# replayed was committed. An idle primary commits nothing: where all is replayed that it had when it last wrote to us,
# that moment counts; only members of pg_monitor see it. Null where neither is known.
REPLAYED = """
SELECT (EXTRACT(EPOCH FROM greatest(
           pg_last_xact_replay_timestamp(),
           (SELECT last_msg_send_time FROM pg_stat_wal_receiver
            WHERE status = 'streaming' AND latest_end_lsn <= pg_last_wal_replay_lsn()))) * 1000000)::bigint
WHERE pg_is_in_recovery()"""
