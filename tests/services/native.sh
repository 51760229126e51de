# shellcheck shell=bash
# The services as plain processes of this machine: Kafka and ZooKeeper from Maven's jars, Redis and PostgreSQL from Debian.
# Sourced by `up`; $dir is the set being started (lib.sh).

# Kafka 3.9 and 4.1 both run on Java 17 to 23.
find_java() {
    local candidate version
    for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        version=$("$candidate" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || continue
        if ((${version:-0} >= 17 && version < 24)); then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# The folder with PostgreSQL's server programs, which Debian keeps out of the path; the newest.
postgres_programs() {
    local folder
    for folder in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /)")"; do
        if [[ -x $folder/initdb && -x $folder/pg_isready ]]; then echo "$folder"; fi
    done | sort -V | tail -n 1
}

jars_cached() { # RELEASE
    cmp -s "$services/$1/pom.xml" "$cache/$1/pom.xml"
}

# The Debian packages that this machine lacks, one a line.
missing_packages() {
    find_java >/dev/null || echo openjdk-17-jre-headless
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null || echo redis-server
    [[ $(postgres_programs) ]] || echo postgresql-15
    command -v kcat >/dev/null || echo kcat
    { jars_cached kafka-4.1 && jars_cached kafka-3.9; } || command -v mvn >/dev/null || echo maven
}

# The jars of a release, in the cache; kept until its pom changes.
fetch_jars() { # RELEASE
    local lib=$cache/$1 log=$dir/maven-$1.log
    if jars_cached "$1"; then return; fi
    say "fetching $1 with Maven"
    rm -rf "$lib"
    mkdir -p "$lib"
    if ! mvn -q -B -f "$services/$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$lib" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "Maven could not fetch $1 (is Maven Central reachable?)"
    fi
    cp "$services/$1/pom.xml" "$lib/pom.xml"
}

# Starts a process that outlives this script and hears no Ctrl-C of its terminal. It must not hold the lock (9). It gets a
# process group of its own but no session: Linux shares its processors out among sessions first (sched_autogroup), and
# beside tests that keep them busy the services of another session got nothing for ten seconds at a time.
launch() { # NAME COMMAND...
    local name=$1
    shift
    set -m
    nohup "$@" >"$dir/$name.log" 2>&1 </dev/null 9>&- &
    set +m
    echo $! >"$dir/$name.pid"
    disown
    # Until it has become the command, its arguments are still this script's.
    while kill -0 $! 2>/dev/null && ! alive "$dir" "$name"; do sleep 0.01; done
}

java_in() { # RELEASE HEAP CLASS ARGUMENT...: the command line, in the array `command_line`
    command_line=("$java" "-Xmx$2" -cp "$cache/$1/*" -Dorg.slf4j.simpleLogger.showDateTime=true
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS" -Dzookeeper.forceSync=no "${@:3}")
}

wait_ready() { # NAME PORT PROBE...
    local name=$1 port=$2 deadline=$((SECONDS + 60)) complaint=
    shift 2
    until listening "$port" && "$@"; do
        if ! alive "$dir" "$name"; then
            complaint="$name ended while it started"
        elif ((SECONDS >= deadline)); then
            complaint="$name does not answer on port $port after 60 s"
        fi
        if [[ $complaint ]]; then
            say "the end of its log:"
            tail -n 40 "$dir/$name.log" >&2
            fail "$complaint (whole log: $cache/logs/$name.log)"
        fi
        sleep 0.2
    done
}

kafka_answers() { [[ $(kcat -b "127.0.0.1:$1" -L -m 2 2>/dev/null) == *" 1 brokers:"* ]]; }
postgres_answers() { "$(postgres_programs)/pg_isready" -q -h 127.0.0.1 -p "$1"; }
redis_answers() { [[ $(redis-cli -p "$1" ping 2>/dev/null) == PONG ]]; }
zookeeper_answers() {
    local reply=
    { exec 4<>"/dev/tcp/127.0.0.1/$1" && echo srvr >&4 && reply=$(cat <&4) && exec 4>&-; } 2>/dev/null
    [[ $reply == *Mode:* ]]
}

# What both brokers have in common: one node, no replicas, nothing created by accident, quick to start and to rebalance.
common_kafka_properties() {
    cat <<-END
		log.dirs=$1
		num.partitions=1
		auto.create.topics.enable=false
		default.replication.factor=1
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=8
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=8
		group.initial.rebalance.delay.ms=0
	END
}

start_redis() {
    mkdir -p "$dir/redis"
    cat >"$dir/redis/redis.conf" <<-END
		bind 127.0.0.1
		port $redis_port
		dir $dir/redis
		set-proc-title no
		save ""
	END
    launch redis redis-server "$dir/redis/redis.conf"
}

# PostgreSQL refuses to run as root: there it runs as the user that Debian's package made.
start_postgres() {
    local programs as=()
    programs=$(postgres_programs)
    mkdir -p "$dir/postgres"
    if ((EUID == 0)); then
        as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
        chmod 711 "$dir"
        chown postgres: "$dir/postgres"
    fi
    "${as[@]}" "$programs/initdb" -D "$dir/postgres/data" -U auren --auth=trust >"$dir/postgres-initdb.log" 2>&1 || {
        tail -n 20 "$dir/postgres-initdb.log" >&2
        fail "PostgreSQL's storage could not be made"
    }
    launch postgres "${as[@]}" "$programs/postgres" -D "$dir/postgres/data" -h 127.0.0.1 -p "$postgres_port" \
        -k "$dir/postgres" -c fsync=off -c max_connections=200
}

start_zookeeper() {
    mkdir -p "$dir/zookeeper"
    cat >"$dir/zookeeper/zoo.cfg" <<-END
		dataDir=$dir/zookeeper/data
		clientPort=$zookeeper_port
		clientPortAddress=127.0.0.1
		tickTime=2000
		admin.enableServer=false
	END
    java_in kafka-3.9 256m org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zookeeper/zoo.cfg"
    launch zookeeper "${command_line[@]}"
}

start_kafka_zk() {
    mkdir -p "$dir/kafka-zk"
    cat >"$dir/kafka-zk/server.properties" <<-END
		broker.id=1
		zookeeper.connect=127.0.0.1:$zookeeper_port
		listeners=PLAINTEXT://127.0.0.1:$kafka_zk_port
		$(common_kafka_properties "$dir/kafka-zk/data")
	END
    java_in kafka-3.9 1g kafka.Kafka "$dir/kafka-zk/server.properties"
    launch kafka-zk "${command_line[@]}"
}

# A broker on KRaft that has not run yet: its properties, of which the last of a name counts, and its empty storage.
format_kafka() { # [PROPERTIES [ARGUMENT OF THE FORMATTER...]]
    mkdir -p "$dir/kafka"
    cat >"$dir/kafka/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller_port
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$controller_port
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		$(common_kafka_properties "$dir/kafka/data")
		${1-}
	END
    java_in kafka-4.1 256m kafka.tools.StorageTool format -t AAAAAAAAQACAAAAAAAAAAQ -c "$dir/kafka/server.properties" "${@:2}"
    "${command_line[@]}" >"$dir/kafka-format.log" 2>&1 || {
        tail -n 20 "$dir/kafka-format.log" >&2
        fail "Kafka's storage could not be formatted"
    }
}

start_kafka() {
    format_kafka
    java_in kafka-4.1 1g kafka.Kafka "$dir/kafka/server.properties"
    launch kafka "${command_line[@]}"
}

start_native() {
    local java redis_port postgres_port zookeeper_port kafka_zk_port kafka_port controller_port
    java=$(find_java) || fail "Java 17 was installed but cannot be found: set JAVA_HOME"
    fetch_jars kafka-4.1
    fetch_jars kafka-3.9
    take_port redis_port 16379
    take_port postgres_port 15432
    take_port zookeeper_port 12181
    take_port kafka_port 19092
    take_port controller_port 19093
    take_port kafka_zk_port 19192

    start_redis
    start_postgres
    start_zookeeper
    start_kafka
    wait_ready zookeeper "$zookeeper_port" zookeeper_answers "$zookeeper_port"
    start_kafka_zk
    wait_ready redis "$redis_port" redis_answers "$redis_port"
    wait_ready postgres "$postgres_port" postgres_answers "$postgres_port"
    wait_ready kafka "$kafka_port" kafka_answers "$kafka_port"
    wait_ready kafka-zk "$kafka_zk_port" kafka_answers "$kafka_zk_port"

    cat >"$dir/exports" <<-END
		export AUREN_TEST_KAFKA=127.0.0.1:$kafka_port
		export AUREN_TEST_KAFKA_ZK=127.0.0.1:$kafka_zk_port
		export AUREN_TEST_REDIS=redis://127.0.0.1:$redis_port
		export AUREN_TEST_POSTGRES=postgres://auren@127.0.0.1:$postgres_port/postgres?sslmode=disable
	END
}
