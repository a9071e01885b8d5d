# Redis with one hash an end user, every write synced before it is answered. Sourced by `run` and `round`.
# Owns: its folder "$PEERS/redis", its process, whose id is in "$PEERS/redis.pid". Needs: PEERS, REDIS_PORT.
# It is a raw limit, not a peer: no HTTP, no types, no segments.

cli() {
  redis-cli -p "$REDIS_PORT" "$@"
}

redis_launch() {
  redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --dir "$PEERS/redis" --save '' --appendonly yes \
    --appendfsync always --auto-aof-rewrite-percentage 0 --daemonize no --loglevel warning > "$PEERS/redis.log" 2>&1 &
  echo $! > "$PEERS/redis.pid"
}

# A server that was just killed may hold its port a moment longer: the next one then ends at once, and is tried again.
redis_start() {
  mkdir -p "$PEERS/redis"
  redis_launch
  local tries=0
  until [ "$(cli ping 2> /dev/null)" = PONG ]; do
    tries=$((tries + 1))
    [ $tries -lt 3000 ] || { echo "Redis does not start; see $PEERS/redis.log" >&2; return 1; }
    kill -0 "$(cat "$PEERS/redis.pid")" 2> /dev/null || redis_launch
    sleep 0.01
  done
}

# redis_end SIGNAL: and waits until it is gone.
redis_end() {
  local pid
  pid=$(cat "$PEERS/redis.pid")
  kill "-$1" "$pid"
  while kill -0 "$pid" 2> /dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2> /dev/null; do sleep 0.005; done
}

# redis_load FILE.csv: missing values are left out. The key has twelve digits, as redis-benchmark draws them.
redis_load() {
  cli config set appendfsync no > /dev/null
  LC_ALL=C awk -F, '
    function part(text) { return "$" length(text) "\r\n" text "\r\n" }
    NR == 1 { for (i = 2; i <= NF; i++) field[i] = $i; next }
    {
      fields = ""; count = 2
      for (i = 2; i <= NF; i++) if ($i != "") { fields = fields part(field[i]) part($i); count += 2 }
      printf "*%d\r\n%s%s%s", count, part("HSET"), part(sprintf("u:%012d", substr($1, 2))), fields
    }' "$1" | cli --pipe > /dev/null
  cli config set appendfsync always > /dev/null
  # The log as it would be after a night: rewritten.
  cli bgrewriteaof > /dev/null
  sleep 1
  while cli info persistence | grep -qE '^aof_rewrite_(in_progress|scheduled):1'; do sleep 0.2; done
}

redis_check() {
  [ "$(cli dbsize)" = "$END_USERS" ] || { echo "Redis: end users are missing" >&2; return 1; }
  [ "$(cli config get appendfsync | tail -1)" = always ] || { echo "Redis: writes are not synced" >&2; return 1; }
}

# redis_round RATE CONNECTIONS REQUESTS COMMAND...: one round; RATE is the name of the figure, empty: none.
redis_round() {
  local rate=$1 connections=$2 requests=$3
  shift 3
  redis-benchmark -p "$REDIS_PORT" -c "$connections" -n "$requests" -r "$END_USERS" --csv "$@" | tail -1 | tr -d '"' |
    awk -F, -v rate="$rate" '{
      if (rate != "") printf "Redis\t%s\t%s\n", rate, $2
      printf "Redis\tp50\t%s\nRedis\tp99\t%s\n", $5, $7
    }'
}

redis_memory() {
  awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$(cat "$PEERS/redis.pid")/status"
}
