# PostgreSQL with one typed table of the data set, durable commits, over TCP. Sourced by `run` and `round`.
# Owns: its folder "$PEERS/postgresql". Needs: PEERS, PG_PORT. All settings favour it: the table fits its cache, no
# checkpoint falls into a round, and what a round leaves to clean up is cleaned up at its end, not while others run.

export PGHOST=127.0.0.1 PGPORT=$PG_PORT PGUSER=postgres PGDATABASE=postgres

COLUMNS_SQL="type text, tier text, country text, plan text, role text, industry text, lang text, browser text,
  company text, email text, seats integer, mrr double precision, logins integer, score double precision, age integer,
  sessions integer, signup timestamptz, last_seen timestamptz, trial_end timestamptz, renewal timestamptz"

# The folder of initdb and pg_ctl: on the path, or where Debian keeps it (the newest version).
pg_bin() {
  local found
  found=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1)
  [ -n "$found" ] || { echo "PostgreSQL is not installed (no initdb)" >&2; return 1; }
  dirname "$(readlink -f "$found")"
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

pg_init() {
  local folder=$PEERS/postgresql
  mkdir -p "$folder"
  if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    runuser -u postgres -- test -w "$folder" ||
      { echo "the user postgres can't reach $folder: name another folder with PEERS" >&2; return 1; }
  fi
  as_postgres "$PG_BIN/initdb" -D "$folder" -U postgres --auth=trust --locale=C -E UTF8 > /dev/null
  local quarter
  quarter=$(awk '/^MemTotal/ { m = int($2 / 4096); print (m < 4096 ? m : 4096) }' /proc/meminfo)
  as_postgres tee -a "$folder/postgresql.conf" > /dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $PG_PORT
unix_socket_directories = ''
max_connections = 200
fsync = on
synchronous_commit = on
shared_buffers = ${quarter}MB
maintenance_work_mem = 1GB
max_wal_size = 16GB
checkpoint_timeout = 30min
random_page_cost = 1.1
jit = off
autovacuum = off
CONF
}

# Starts it and waits for the first answered query.
pg_start() {
  as_postgres "$PG_BIN/pg_ctl" -D "$PEERS/postgresql" -W -l "$PEERS/postgresql/log" start > /dev/null
  local tries=0
  until psql -qAtc 'SELECT 1' > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 6000 ] || { echo "PostgreSQL does not start; see $PEERS/postgresql/log" >&2; return 1; }
    sleep 0.01
  done
}

# pg_stop fast: clean. pg_stop immediate: as after a crash.
pg_stop() {
  as_postgres "$PG_BIN/pg_ctl" -D "$PEERS/postgresql" -w -t 120 -m "$1" stop > /dev/null
}

# Leaves nothing to be done later: what a round made dirty is cleaned and on disk.
pg_settle() {
  psql -q -c 'VACUUM ANALYZE users' -c CHECKPOINT
}

# pg_index TABLE: the indexes that an application with these 50 segments would have.
pg_index() {
  local column
  for column in type tier country plan seats mrr logins signup last_seen renewal; do
    psql -q -v ON_ERROR_STOP=1 -c "CREATE INDEX ON $1 ($column)"
  done
}

# pg_load FILE.csv: the table, with its indexes.
pg_load() {
  psql -q -v ON_ERROR_STOP=1 -c "CREATE TABLE users (id text, $COLUMNS_SQL)"
  psql -q -v ON_ERROR_STOP=1 -c "\\copy users FROM '$1' WITH (FORMAT csv, HEADER)"
  psql -q -v ON_ERROR_STOP=1 -c 'ALTER TABLE users ADD PRIMARY KEY (id)'
  pg_index users
  pg_settle
}

# pg_scripts EXPRESSION FILTERS: what pgbench runs. FILTERS has a line `letter TAB condition` for each filter.
pg_scripts() {
  local letter condition
  while IFS=$'\t' read -r letter condition; do
    echo "SELECT * FROM users WHERE $condition ORDER BY id LIMIT 50;" > "$PEERS/page-$letter.sql"
  done < "$2"
  # Each number of the expression's array is one segment's: its members are the rows whose array has it.
  echo "SELECT n, count(*) FROM users, unnest($1) n GROUP BY n;" > "$PEERS/segment-counts.sql"
  cat > "$PEERS/update.sql" <<SQL
\\set row random(0, $END_USERS - 1)
\\set logins random(0, 9999)
\\set day random(0, 364)
UPDATE users SET plan = 'pro', logins = :logins, last_seen = timestamptz '2025-01-01Z' + :day * interval '1 day'
  WHERE id = 'u' || lpad(:row::text, 7, '0');
SQL
  cat > "$PEERS/page-load.sql" <<SQL
\\set row random(0, $END_USERS - 1)
SELECT $1 FROM users WHERE id = 'u' || lpad(:row::text, 7, '0');
SQL
}

# pg_check EXPRESSION MEMBERS: the rows, the index, and the answers for the end users of the file MEMBERS.
pg_check() {
  [ "$(psql -qAtc 'SELECT count(*) FROM users')" = "$END_USERS" ] || { echo "PostgreSQL: rows are missing" >&2; return 1; }
  psql -qAtc "EXPLAIN UPDATE users SET plan = 'pro' WHERE id = 'u' || lpad('5', 7, '0')" | grep -q 'Index Scan' ||
    { echo "PostgreSQL: an update does not use the index" >&2; return 1; }
  local ids
  ids=$(sed "s/;.*//; s/.*/'&'/" "$2" | paste -sd, -)
  psql -qAtF ';' -c "SELECT id, $1 FROM users WHERE id IN ($ids) ORDER BY id" | diff -q - "$2" > /dev/null ||
    { echo "PostgreSQL: its segments differ from the definition's" >&2; return 1; }
}

# pg_round SCRIPT CONNECTIONS SECONDS RATE: one round; RATE is the name of the figure.
pg_round() {
  local out log=$PEERS/latencies
  rm -f "$log".*
  out=$(pgbench -n -M prepared -c "$2" -j 1 -T "$3" -l --log-prefix="$log" -f "$PEERS/$1.sql" 2> "$PEERS/pgbench.err") ||
    { cat "$PEERS/pgbench.err" >&2; return 1; }
  awk -v rate="$4" '/^tps/ { printf "PostgreSQL\t%s\t%s\n", rate, $3 }' <<< "$out"
  cat "$log".* | awk '{ print $3 }' | sort -n | awk '
    { t[NR] = $1 }
    END { printf "PostgreSQL\tp50\t%f\nPostgreSQL\tp99\t%f\n", t[rank(0.5)] / 1000, t[rank(0.99)] / 1000 }
    function rank(share,  r) { r = share * NR; return r == int(r) ? r : int(r) + 1 }'
  rm -f "$log".*
}

# pg_median SCRIPT SECONDS: the median milliseconds of a caller alone.
pg_median() {
  pg_round "$1" 1 "$2" - | awk -F'\t' '$2 == "p50" { print $3 }'
}

# pg_import: rows a second of each file's ten parts into a table that has its indexes: copied beside, then put in.
pg_import() {
  local columns set='' column figure part before
  columns=$(sed -E 's/ (text|integer|double precision|timestamptz)//g' <<< "$COLUMNS_SQL" | tr -d ' \n')
  for column in ${columns//,/ }; do set+=", $column = excluded.$column"; done
  psql -q -v ON_ERROR_STOP=1 -c "CREATE TABLE imported (id text PRIMARY KEY, $COLUMNS_SQL)" \
    -c "CREATE UNLOGGED TABLE stage (id text, $COLUMNS_SQL)"
  pg_index imported
  for figure in fresh again; do
    before=$(date +%s.%N)
    for part in "$PEERS/$figure".part.*; do
      psql -q -v ON_ERROR_STOP=1 -c 'TRUNCATE stage' -c "\\copy stage FROM '$part' WITH (FORMAT csv)" \
        -c "INSERT INTO imported SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET ${set#, }"
    done
    awk -v figure=$figure -v rows="$(psql -qAtc 'SELECT count(*) FROM imported')" -v a="$before" -v b="$(date +%s.%N)" \
      'BEGIN { printf "PostgreSQL\t%s\t%f\n", figure, rows / (b - a) }'
  done
  psql -q -c 'DROP TABLE imported, stage' -c CHECKPOINT
}

# Memory of all its processes, shared pages counted once, in MiB.
pg_memory() {
  local main total=0 pid pss
  main=$(head -1 "$PEERS/postgresql/postmaster.pid")
  for pid in $main $(pgrep -P "$main"); do
    pss=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2> /dev/null || true)
    total=$((total + ${pss:-0}))
  done
  awk -v kib=$total 'BEGIN { print kib / 1024 }'
}
