"""DuckDB in this process, on the data set: counts asked by lines, or the time of an import. See `duckdb`.

All settings favour it: the columns are typed, the file is compacted and warm, and every thread is its own.
"""
import os
import statistics
import sys
import tempfile
import time

import duckdb

COLUMNS = {name: kind for kind, names in {
    "VARCHAR": "id type tier country plan role industry lang browser company email",
    "INTEGER": "seats logins age sessions",
    "DOUBLE": "mrr score",
    "TIMESTAMP": "signup last_seen trial_end renewal",
}.items() for name in names.split()}
ORDER = ("id type tier country plan role industry lang browser company email seats mrr logins score age sessions signup"
         " last_seen trial_end renewal").split()
READ = "read_csv('%s', header = true, columns = {" + ", ".join(f"'{name}': '{COLUMNS[name]}'" for name in ORDER) + "})"
# As many counts as of ours: their median is a round's figure.
COUNTS = 31


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def answer_counts(folder, csv):
    path = os.path.join(folder, "users.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute(f"CREATE TABLE users AS SELECT * FROM {READ % csv}")
        connection.execute("CHECKPOINT")
    connection = duckdb.connect(path, read_only=True)
    conditions = {}
    for line in sys.stdin:
        letter, *condition = line.rstrip("\n").split("\t")
        if condition:
            # PostgreSQL's midnight in UTC; these timestamps have no zone.
            conditions[letter] = condition[0].replace("Z'", "'")
        elif letter == "ready":
            print("ready", flush=True)
        else:
            count = f"SELECT count(*) FROM users WHERE {conditions[letter]}"
            times = [timed(lambda: connection.execute(count).fetchone()[0]) for _ in range(COUNTS)]
            milliseconds = statistics.median(seconds for seconds, _ in times) * 1000
            print("DuckDB", milliseconds, times[-1][1], sep="\t", flush=True)


def time_imports(folder, fresh, again):
    columns = ", ".join(f"{name} {COLUMNS[name]}" + (" PRIMARY KEY" if name == "id" else "") for name in ORDER)
    with duckdb.connect(os.path.join(folder, "users.duckdb")) as connection:
        connection.execute(f"CREATE TABLE users ({columns})")
        for figure, csv in (("fresh", fresh), ("again", again)):
            def take():
                connection.execute(f"INSERT OR REPLACE INTO users SELECT * FROM {READ % csv}")
                connection.execute("CHECKPOINT")
            seconds, _ = timed(take)
            rows = connection.execute("SELECT count(*) FROM users").fetchone()[0]
            print("DuckDB", figure, rows / seconds, sep="\t", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="rollcall-duckdb-", dir=os.environ.get("PEERS")) as folder:
        if sys.argv[1] == "--import":
            time_imports(folder, *sys.argv[2:])
        else:
            answer_counts(folder, sys.argv[1])
